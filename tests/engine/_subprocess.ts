/** Running a script with the runtime that runs the tests. */
import { spawn } from "node:child_process"
import process from "node:process"
import { fileURLToPath } from "node:url"

/** What a script left behind. */
export interface Ended {
  /** `null` when it had to be stopped. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Long enough for a slow machine; a script that hangs is stopped then. */
const limit = 60_000

/** Runs a script until it ends by itself. */
export function runScript(
  script: URL,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const flags = "Deno" in globalThis ? ["run", "--allow-all", "--no-check"] : []
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...flags, fileURLToPath(script), ...args], {
      cwd: fileURLToPath(new URL("../..", import.meta.url)),
      env: { ...process.env, ...env },
      timeout: limit,
      killSignal: "SIGKILL",
    })
    let [stdout, stderr] = ["", ""]
    child.stdout.on("data", (chunk: Uint8Array) => stdout += new TextDecoder().decode(chunk))
    child.stderr.on("data", (chunk: Uint8Array) => stderr += new TextDecoder().decode(chunk))
    child.on("error", reject)
    child.on("close", (code: number | null) => resolve({ code, stdout, stderr }))
  })
}
