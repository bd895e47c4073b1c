/**
 * A peer that stays: a process that opens a model once and writes texts when it is asked, over lines
 * of JSON (`_decode_task.ts`), so that its texts alternate with those of others.
 */
import { spawn } from "node:child_process"
import process from "node:process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import type { DecodePeer, DecodeTask, TextTask, TimedText } from "./_decode_task.ts"

/** A peer, or the reason why there is none. */
export type OpenedPeer = DecodePeer | { readonly skipped: string }

/** How to start a peer. */
export interface PeerCommand {
  readonly command: string
  readonly args: readonly string[]
}

/** Milliseconds until a peer is given up: to install and open, to write a text, to end. */
const limits = { open: 600_000, text: 120_000, close: 10_000 }

/**
 * The command that runs a TypeScript peer of this folder with the runtime that the bench runs on.
 * Packages that a peer has installed elsewhere find each other in their own `node_modules`.
 */
export function scriptPeer(file: URL): PeerCommand {
  const deno = ["run", "--allow-all", "--no-check", "--node-modules-dir=manual"]
  const args = "Deno" in globalThis ? deno : []
  return { command: process.execPath, args: [...args, fileURLToPath(file)] }
}

/** Starts a peer and waits until it has opened its model; whatever goes wrong is a reason to skip it. */
export async function openPeer(
  { command, args }: PeerCommand,
  task: DecodeTask,
): Promise<OpenedPeer> {
  const child = spawn(command, [...args, JSON.stringify(task)], {
    stdio: ["pipe", "pipe", "pipe"],
  })
  let complaint = ""
  let ended: string | undefined
  let waiting: ((message: Record<string, unknown>) => void) | undefined
  const settle = (message: Record<string, unknown>) => {
    const resolve = waiting
    waiting = undefined
    resolve?.(message)
  }
  const closed = new Promise<void>((resolve) => {
    const end = (reason: string) => {
      ended ??= reason
      settle({ skipped: ended })
      resolve()
    }
    child.on(
      "error",
      (error: Error & { code?: string }) =>
        end(error.code === "ENOENT" ? `there is no command ${command}` : error.message),
    )
    child.on(
      "close",
      (code, signal) =>
        end(`it ended with ${code ?? signal}: ${lastLine(complaint) || "it said nothing"}`),
    )
  })
  child.stdin.on("error", () => {}) // a peer that has ended is told of by `closed`
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaint = (complaint + text).slice(-4096)
  })
  createInterface({ input: child.stdout }).on("line", (line) => {
    // Libraries print there too.
    if (line.startsWith("{")) settle(JSON.parse(line))
  })
  const answer = (limit: number, doing: string): Promise<Record<string, unknown>> => {
    if (ended !== undefined) return Promise.resolve({ skipped: ended })
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        ended ??= `it was stopped: it took more than ${limit / 1000} s ${doing}`
        child.kill("SIGKILL")
        settle({ skipped: ended })
      }, limit)
      waiting = (message) => {
        clearTimeout(timer)
        resolve(message)
      }
    })
  }
  const close = async () => {
    child.stdin.end()
    const timer = setTimeout(() => child.kill("SIGKILL"), limits.close)
    await closed
    clearTimeout(timer)
  }

  const { ready, skipped } = await answer(limits.open, "to open its model")
  if (typeof ready !== "string") {
    await close()
    return { skipped: String(skipped) }
  }
  return {
    about: ready,
    async write(text: TextTask) {
      const reply = answer(limits.text, "to write a text")
      child.stdin.write(JSON.stringify(text) + "\n")
      const { error, skipped: why, ...timed } = await reply
      if (error !== undefined || why !== undefined) throw new Error(String(error ?? why))
      return timed as unknown as TimedText
    },
    close,
  }
}

function lastLine(text: string): string {
  return text.trimEnd().split("\n").at(-1)?.trim() ?? ""
}
