/** How well models predict texts, and how near their distributions are to those of the first. */
import { existsSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { readCorpus } from "../examples/train/_corpus.ts"
import type { Engine } from "../src/engine/engine.ts"
import { openTokenizer } from "../src/files/tokenizer.ts"

/** A text as ids; `characters` are those of all tokens but the first, which nothing precedes. */
export interface EncodedText {
  readonly ids: readonly number[]
  readonly characters: number
}

/** What texts tell of an engine. */
export interface Quality {
  /** Mean Kullback-Leibler divergence of a token from the first engine's distribution, in nats. */
  readonly divergence: number
  /** Share of tokens at which the likeliest token is the first engine's. */
  readonly sameTop: number
  readonly bitsPerCharacter: number
}

const corpus = new URL("../../shared/data/corpus/tinystories-v2-head.txt", import.meta.url)
const shipped = new URL("../examples/data/plain.jsonl", import.meta.url)

/** Held-out stories where a corpus is beside the project, else stories that are part of it. */
export async function readBenchTexts(): Promise<{ texts: readonly string[]; source: string }> {
  if (existsSync(corpus)) {
    const { heldOut } = await readCorpus([fileURLToPath(corpus)])
    return { texts: heldOut.map(({ text }) => text), source: "held-out stories of TinyStories V2" }
  }
  const lines = (await readFile(shipped, "utf8")).trim().split("\n")
  const texts = lines.map((line) => JSON.parse(line)).map(({ prompt, chosen }) => prompt + chosen)
  return { texts, source: "stories that the embedded model wrote" }
}

/** The beginnings of as many texts as take seconds: 10,000 tokens, or fewer of a large vocabulary. */
export async function encodeTexts(
  folder: string,
  texts: readonly string[],
  quick: boolean,
): Promise<EncodedText[]> {
  const tokenizer = await openTokenizer(folder)
  const tokens = Math.min(1e4, 1e8 / tokenizer.size) / (quick ? 3 : 1)
  const encoded: EncodedText[] = []
  let count = 0
  for (const text of texts) {
    if (count >= tokens) break
    const ids = [...tokenizer.encode(text)].slice(0, 256)
    const characters = tokenizer.decode(ids).length - tokenizer.decode(ids.slice(0, 1)).length
    encoded.push({ ids, characters })
    count += ids.length
  }
  return encoded
}

/** Runs the texts through every engine; the first is the reference. */
export async function quality(
  engines: readonly Engine[],
  texts: readonly EncodedText[],
): Promise<Quality[]> {
  const totals = engines.map(() => ({ divergence: 0, sameTop: 0, nats: 0 }))
  let count = 0
  let characters = 0
  for (const text of texts) {
    let reference: Float32Array | undefined
    for (const [i, engine] of engines.entries()) {
      const cache = engine.openCache()
      const [rows] = await engine.forward([{ cache, tokens: text.ids, want: "all" }])
      cache.close()
      reference ??= rows.slice()
      addText(totals[i], reference, rows, text.ids, engine.vocabularySize)
    }
    count += text.ids.length - 1
    characters += text.characters
  }
  return totals.map(({ divergence, sameTop, nats }) => ({
    divergence: divergence / count,
    sameTop: sameTop / count,
    bitsPerCharacter: nats / Math.LN2 / characters,
  }))
}

/** Adds what one text tells; `p` and `q` are `[tokens, vocabulary]`, natural log. */
function addText(
  total: { divergence: number; sameTop: number; nats: number },
  p: Float32Array,
  q: Float32Array,
  ids: readonly number[],
  vocabulary: number,
): void {
  for (let at = 0; at + 1 < ids.length; at++) {
    const begin = at * vocabulary
    let topOfP = begin
    let topOfQ = begin
    for (let i = begin; i < begin + vocabulary; i++) {
      total.divergence += Math.exp(p[i]) * (p[i] - q[i])
      if (p[i] > p[topOfP]) topOfP = i
      if (q[i] > q[topOfQ]) topOfQ = i
    }
    if (topOfP === topOfQ) total.sameTop++
    total.nats -= q[begin + ids[at + 1]]
  }
}
