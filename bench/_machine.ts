/** Where figures come from: without it they say nothing. */
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { availableParallelism, cpus, totalmem } from "node:os"
import process from "node:process"

/** The machine, the runtime and the code of a run. */
export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGB: number
  readonly platform: string
  readonly runtime: string
  readonly versions: Readonly<Record<string, string>>
  /** With `+` where files differ from it. */
  readonly commit?: string
  readonly date: string
}

/** Describes the machine that this runs on. */
export function describeMachine(): Machine {
  const root = new URL("..", import.meta.url)
  const { dependencies } = JSON.parse(readFileSync(new URL("package.json", root), "utf8"))
  const { deno, bun, node } = process.versions
  const runtime = deno ? `Deno ${deno}` : bun ? `Bun ${bun}` : `Node ${node}`
  const commit = git(root, "rev-parse", "--short", "HEAD")
  const changed = git(root, "status", "--porcelain", "--untracked-files=no")
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: availableParallelism(),
    memoryGB: Math.round(totalmem() / 1e9),
    platform: `${process.platform} ${process.arch}`,
    runtime,
    versions: dependencies,
    ...commit !== undefined && { commit: commit + (changed ? "+" : "") },
    date: new Date().toISOString(),
  }
}

function git(root: URL, ...args: string[]): string | undefined {
  try {
    return execFileSync("git", args, { cwd: root, encoding: "utf8", stdio: "pipe" }).trim()
  } catch {
    return undefined
  }
}
