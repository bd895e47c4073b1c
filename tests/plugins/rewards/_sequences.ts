/** What rewards learn of a sequence, over tokenizers of all kinds; and driving a reward by hand. */
import {
  definition,
  type PluginNode,
  type RewardDefinition,
  type RewardState,
  type SequenceInfo,
} from "genarm/plugin"
import { randomStream } from "genarm/math"
import { openTokenizer } from "genarm/train"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"

/** A folder of the repository, or beside it. */
export const folder = (path: string): string =>
  fileURLToPath(new URL(`../../../${path}`, import.meta.url))

const stories = folder("../shared/data/models/stories260K")

/** Options of tests that need the tokenizer of the small trained model. */
export const withStories: { skip?: string } = existsSync(`${stories}/tokenizer.json`)
  ? {}
  : { skip: `there is no tokenizer at ${stories}` }

/** Folders with a tokenizer: byte-level, SentencePiece, with and without added tokens. */
export const tokenizers: readonly (readonly [path: string, options: { skip?: string }])[] = [
  [folder("examples/models/base"), {}],
  [folder("tests/fixtures/models/qwen2"), {}],
  [folder("tests/fixtures/models/llama"), {}],
  [folder("tests/fixtures/models/extra_token"), {}],
  [stories, withStories],
]

/** What may be left out of a sequence. */
export interface SequenceParts {
  readonly eos?: readonly number[]
  readonly promptIds?: readonly number[]
}

/** A sequence over the tokenizer of a folder. */
export async function sequenceIn(path: string, parts: SequenceParts = {}): Promise<SequenceInfo> {
  const tokenizer = await openTokenizer(path)
  return {
    vocabularySize: tokenizer.size,
    eos: tokenizer.eos === undefined ? [] : [tokenizer.eos],
    promptIds: tokenizer.encode("It was"),
    token: (id) => tokenizer.token(id),
    decode: (ids) => tokenizer.decode(ids),
    encode: (text) => tokenizer.encodeContinuation(text),
    ...parts,
  }
}

/** A sequence over tokens written down: `<0x41>` is one byte, `<name>` a special token. */
export function sequenceOf(names: readonly string[], parts: SequenceParts = {}): SequenceInfo {
  const utf8 = new TextEncoder()
  const bytes = names.map((name) => {
    if (/^<0x[0-9A-F]{2}>$/.test(name)) return [parseInt(name.slice(3, 5), 16)]
    return /^<[^<>]+>$/.test(name) ? [] : [...utf8.encode(name)]
  })
  return {
    vocabularySize: names.length,
    eos: names.flatMap((name, id) => name === "<end>" ? [id] : []),
    promptIds: [],
    token: (id) => names[id],
    decode: (ids) => new TextDecoder().decode(Uint8Array.from(ids.flatMap((id) => bytes[id]))),
    encode: (text) => [...text].map((letter) => names.indexOf(letter)),
    ...parts,
  }
}

/** Opens the reward of a node. */
export function openReward(node: PluginNode<"reward">, sequence: SequenceInfo): RewardState {
  return (node[definition] as unknown as RewardDefinition).open(node.options, sequence, {})
}

/** The scores of the next token; no place is left as it was. */
export function scoresOf(state: RewardState, { vocabularySize }: SequenceInfo): Float32Array {
  const out = new Float32Array(vocabularySize).fill(NaN)
  state.score!({}, out)
  return out
}

/** An integer below `count`, from a stream. */
export type Draw = (count: number) => number

/** Integers drawn from a seed. */
export function drawing(seed: number): Draw {
  const stream = randomStream(seed)
  return (count) => Math.floor(stream.nextUniform() * count)
}

/** Ids drawn from a seed. */
export function drawIds(seed: number, size: number, count: number): number[] {
  const draw = drawing(seed)
  return Array.from({ length: count }, () => draw(size))
}
