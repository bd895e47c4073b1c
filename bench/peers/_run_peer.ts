/**
 * Runs another project's side of a bench as a process of its own. A peer is a command whose last line
 * of output is a JSON object: its figures, or `skipped` with the reason.
 */
import { execFile } from "node:child_process"
import process from "node:process"
import { fileURLToPath } from "node:url"

/** What became of a peer. */
export type PeerResult<A> = { readonly figures: A } | { readonly skipped: string }

/** How long a peer may take. */
const tenMinutes = 600_000

/**
 * Runs a peer and reads its figures. A peer that cannot be had does not fail the bench: whatever goes
 * wrong is the reason why it was skipped.
 */
export function runPeer<A extends object>(
  command: string,
  args: readonly string[],
  { timeout = tenMinutes } = {},
): Promise<PeerResult<A>> {
  return new Promise((resolve) => {
    const options = { timeout, maxBuffer: 1 << 26, encoding: "utf8" } as const
    execFile(command, [...args], options, (error, stdout, stderr) => {
      if (error === null) return resolve(read<A>(command, stdout))
      const skipped = "code" in error && error.code === "ENOENT"
        ? `there is no command ${command}`
        : error.killed
        ? `it was stopped after ${timeout / 1000} s`
        : `it ended with ${error.code ?? error.signal}: ${lastLine(stderr) || "it said nothing"}`
      resolve({ skipped })
    })
  })
}

/** Runs a TypeScript peer of this folder with the runtime that the bench runs on. */
export function runScriptPeer<A extends object>(
  file: URL,
  args: readonly string[],
  options: { readonly timeout?: number } = {},
): Promise<PeerResult<A>> {
  const run = "Deno" in globalThis ? ["run", "--allow-all", "--no-check"] : []
  return runPeer(process.execPath, [...run, fileURLToPath(file), ...args], options)
}

function read<A extends object>(command: string, stdout: string): PeerResult<A> {
  const line = lastLine(stdout)
  try {
    const value = JSON.parse(line)
    if (typeof value?.skipped === "string") return { skipped: value.skipped }
    if (typeof value === "object" && value !== null) return { figures: value }
  } catch {
    // told below
  }
  const found = line === "" ? "nothing" : JSON.stringify(line.slice(0, 80))
  return { skipped: `expected JSON as the last line of ${command}, found ${found}` }
}

function lastLine(text: string): string {
  return text.trimEnd().split("\n").at(-1)?.trim() ?? ""
}
