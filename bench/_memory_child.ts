/** A process that writes texts and prints samples of its memory: see `memory.ts`. */
import process from "node:process"
import { bareLoop } from "./_bare_loop.ts"
import { openSubject, promptOf } from "./_subject.ts"

/** What the process is to do. */
export interface Workload {
  readonly side: "bare" | "guided"
  readonly texts: number
  readonly tokens: number
}

/** Bytes at one moment. */
export interface Sample {
  /** Tokens written so far, in all texts. */
  readonly tokens: number
  readonly rss: number
  /** Of the JavaScript heap in use. */
  readonly heap: number
  /** Of the key-value caches. */
  readonly caches: number
  /** Whether garbage was collected just before. */
  readonly collected: boolean
}

const samples = 40
const context = 8192

async function measure({ side, texts, tokens }: Workload): Promise<Sample[]> {
  await using subject = await openSubject("15M", { context, keepsPrompts: true })
  await using pipeline = await subject.open()
  const { engine } = subject
  const out: Sample[] = []
  const interval = Math.floor(texts * tokens / samples)
  let written = 0
  const onToken = () => {
    if (++written % interval !== 0) return
    const collected = collectGarbage()
    const { rss, heapUsed: heap } = process.memoryUsage()
    out.push({ tokens: written, rss, heap, caches: subject.cacheBytes(), collected })
  }
  const prompt = promptOf(16)
  for (let text = 0; text < texts; text++) {
    if (side === "bare") await bareLoop(engine, subject.rows(prompt), tokens, onToken)
    else {
      for await (const _ of pipeline.stream(prompt, { maxTokens: tokens, seed: text })) onToken()
    }
  }
  return out
}

function collectGarbage(): boolean {
  const { gc, Bun } = globalThis as { gc?: () => void; Bun?: { gc(force: boolean): void } }
  if (gc !== undefined) gc()
  else Bun?.gc(true)
  return gc !== undefined || Bun !== undefined
}

if (import.meta.main) {
  process.stdout.write(JSON.stringify(await measure(JSON.parse(process.argv[2]))))
}
