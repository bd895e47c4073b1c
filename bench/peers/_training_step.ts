/**
 * The training step that peers are timed on: the size of its model, weights and token ids that any
 * language can make again from integers, and how the work of a step is counted.
 *
 * The model is a Llama with as many key as query heads and a tied head: next-token cross-entropy in
 * float32, global-norm clipping at 1, AdamW with decay on matrices. A row has one token more than the
 * length, so that each of `length` positions predicts one.
 */

/** A Llama and its batch; JSON, handed to a peer as its argument. */
export interface TrainingTask {
  readonly hidden: number
  readonly layers: number
  readonly heads: number
  readonly inner: number
  readonly vocabulary: number
  readonly batch: number
  /** Tokens that a row predicts. */
  readonly length: number
  readonly threads: number
  /** Timed steps, after those that warm up. */
  readonly steps: number
  readonly warmUp: number
  /** The standard deviation of the first weights. */
  readonly deviation: number
}

/** What a peer prints as its last line. */
export interface TrainingFigures {
  /** Name and version. */
  readonly peer: string
  /** What else one has to know: threads that it had, the device. */
  readonly about: string
  /** Milliseconds of each timed step: forward, backward and AdamW. */
  readonly ms: readonly number[]
  /** The median of them. */
  readonly msPerStep: number
  readonly tokensPerSecond: number
  readonly flopPerSecond: number
  /** Resident memory of the process at its highest, in MB (10^6). */
  readonly peakRssMB: number
  /** The loss before each step, warm-up included: the same for all peers. */
  readonly losses: readonly number[]
}

/** About 3 million weights. */
export const standardTask: TrainingTask = {
  hidden: 192,
  layers: 6,
  heads: 6,
  inner: 512,
  vocabulary: 2048,
  batch: 16,
  length: 128,
  threads: 2,
  steps: 20,
  warmUp: 3,
  deviation: 0.02,
}

/** What AdamW is set to. */
export const optimizer = {
  learningRate: 1e-3,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  decay: 0.1,
  maxNorm: 1,
} as const

/**
 * Multiplications and additions of a step per token, backward taken as twice forward: the weights that
 * multiply (the embedding once, as the head) and, in each layer, 4 x length x hidden for attention,
 * which counts the masked half too.
 */
export function flopPerToken({ hidden, layers, inner, vocabulary, length }: TrainingTask): number {
  const weights = layers * (4 * hidden ** 2 + 3 * hidden * inner) + vocabulary * hidden
  return 3 * (2 * weights + layers * 4 * length * hidden)
}

/** Names and shapes, rows first, as Hugging Face has them. */
export function shapesOf(task: TrainingTask): [name: string, shape: number[]][] {
  const { hidden, layers, inner, vocabulary } = task
  const tensors: [string, number[]][] = [["model.embed_tokens.weight", [vocabulary, hidden]]]
  for (let layer = 0; layer < layers; layer++) {
    const of = (name: string, ...shape: number[]) =>
      tensors.push([`model.layers.${layer}.${name}.weight`, shape])
    of("input_layernorm", hidden)
    for (const part of "qkvo") of(`self_attn.${part}_proj`, hidden, hidden)
    of("post_attention_layernorm", hidden)
    of("mlp.gate_proj", inner, hidden)
    of("mlp.up_proj", inner, hidden)
    of("mlp.down_proj", hidden, inner)
  }
  tensors.push(["model.norm.weight", [hidden]])
  return tensors
}

/** The weights by name: uniform, and 1 for norms. The index of the draw runs through all of them. */
export function firstWeights(task: TrainingTask): Map<string, Float32Array> {
  const limit = task.deviation * Math.sqrt(3)
  let at = 0
  return new Map(
    shapesOf(task).map(([name, shape]) => {
      const size = shape.reduce((product, n) => product * n)
      if (shape.length === 1) return [name, new Float32Array(size).fill(1)]
      const draw = () => limit * (drawn(1, at++) / 2 ** 31 - 1)
      return [name, Float32Array.from({ length: size }, draw)]
    }),
  )
}

/** The ids of a step, [batch, length + 1]. */
export function tokensOf({ batch, length, vocabulary }: TrainingTask, step: number): Int32Array {
  const size = batch * (length + 1)
  const id = (_: unknown, i: number) => Math.floor(drawn(2, step * size + i) / 2 ** 32 * vocabulary)
  return Int32Array.from({ length: size }, id)
}

/** Number `at` of the stream of a seed, a uint32: mulberry32, whose state is a multiple of a constant. */
function drawn(seed: number, at: number): number {
  const state = (seed + Math.imul(at + 1, 0x6d2b79f5)) >>> 0
  let t = Math.imul(state ^ state >>> 15, state | 1)
  t ^= t + Math.imul(t ^ t >>> 7, t | 61)
  return (t ^ t >>> 14) >>> 0
}
