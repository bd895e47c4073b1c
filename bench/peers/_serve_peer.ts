/** The peer's end of `_open_peer.ts`: reads tasks from standard input, line by line. */
import process from "node:process"
import { createInterface } from "node:readline"
import type { DecodePeer, DecodeTask } from "./_decode_task.ts"

/** Opens what the process was started for, and writes texts until its input ends. */
export async function servePeer(open: (task: DecodeTask) => Promise<DecodePeer>): Promise<void> {
  const peer = await open(JSON.parse(process.argv[2])).catch((error) => {
    say({ skipped: messageOf(error) })
    process.exit(0)
  })
  say({ ready: peer.about })
  for await (const line of createInterface({ input: process.stdin })) {
    try {
      say(await peer.write(JSON.parse(line)))
    } catch (error) {
      say({ error: messageOf(error) })
    }
  }
  await peer.close()
  process.exit(0)
}

function say(message: object): void {
  process.stdout.write(JSON.stringify(message) + "\n")
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
