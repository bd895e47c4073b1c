import { argmax, logSumExp, mixInto, randomStream, TokenDistribution } from "genarm/math"
import { type BenchTable, printTable } from "./_table.ts"

const VOCABULARIES = [32000, 151936]
const TOP_P = 0.9

/** Times each kernel of `genarm/math` beside what it replaces, in interleaved runs. */
// deno-lint-ignore require-await -- benchmarks share one asynchronous signature
export async function kernels({ quick }: { quick: boolean }): Promise<BenchTable> {
  const survivors: string[] = []
  const rows = VOCABULARIES.flatMap((vocab) => {
    const scores = bellScores(vocab, 1)
    const kept = new TokenDistribution(vocab).set(scores, { temperature: 1, topP: TOP_P }).count
    survivors.push(`${kept} of ${vocab}`)
    return pairs(vocab, scores).map((pair) => measure(vocab, pair, quick))
  })
  return {
    question: "What does the arithmetic of one token cost beside the model?",
    columns: ["vocab", "kernel", "µs", "baseline", "baseline µs", "kernel / baseline"],
    rows,
    notes: [
      `Scores of a normal distribution, standard deviation 2.5; top-p keeps ${
        survivors.join(", ")
      }.`,
      "Medians; kernel and baseline alternate in one process.",
      "A draw is TokenDistribution's set and draw. Plain means softmax with Math.exp into an array " +
      "and one pass over it; for truncation, a sort of all ids before.",
    ],
  }
}

interface Pair {
  readonly kernel: string
  readonly run: () => unknown
  readonly baseline: string
  readonly baselineRun: () => unknown
}

function pairs(vocab: number, scores: Float32Array): Pair[] {
  const rewards = [2, 3, 4, 5].map((seed) => bellScores(vocab, seed))
  const out = new Float32Array(vocab)
  const distribution = new TokenDistribution(vocab)
  const ours = randomStream(1)
  const theirs = randomStream(1)
  const copy = { baseline: "copy of the row", baselineRun: () => out.set(scores) }
  const mix = (count: number): Pair => {
    const used = rewards.slice(0, count)
    const weights = used.map((_, i) => 0.5 + i)
    const kernel = count === 1 ? "mix 1 reward row" : `mix ${count} reward rows`
    return { kernel, run: () => mixInto(scores, used, weights, out), ...copy }
  }
  const draw = (options: { topK?: number; topP?: number }): Pair => ({
    kernel: `draw, ${JSON.stringify(options)}`,
    run: () => distribution.set(scores, { temperature: 1, ...options }).draw(ours.nextUniform()),
    baseline: options.topK || options.topP ? "plain, sorting" : "plain",
    baselineRun: () => plainDraw(scores, theirs.nextUniform(), options),
  })
  return [
    mix(1),
    mix(4),
    { kernel: "argmax", run: () => argmax(scores), ...copy },
    {
      kernel: "log-sum-exp",
      run: () => logSumExp(scores),
      baseline: "Math.exp loop",
      baselineRun: () => plainLogSumExp(scores),
    },
    draw({}),
    draw({ topP: TOP_P }),
    draw({ topK: 50 }),
  ]
}

function plainLogSumExp(scores: Float32Array): number {
  let max = -Infinity
  for (let v = 0; v < scores.length; v++) if (scores[v] > max) max = scores[v]
  let sum = 0
  for (let v = 0; v < scores.length; v++) sum += Math.exp(scores[v] - max)
  return max + Math.log(sum)
}

function plainDraw(
  scores: Float32Array,
  uniform: number,
  { topK, topP }: { topK?: number; topP?: number },
): number {
  let max = -Infinity
  for (const score of scores) if (score > max) max = score
  const weights = Array.from(scores, (score) => Math.exp(score - max))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  let ids = Array.from(weights.keys())
  let mass = total
  if (topK || topP) {
    ids.sort((a, b) => weights[b] - weights[a])
    if (topK) ids = ids.slice(0, topK)
    mass = 0
    let kept = 0
    while (kept < ids.length && mass < (topP ?? 1) * total) mass += weights[ids[kept++]]
    ids = ids.slice(0, kept)
  }
  let rest = uniform * mass
  for (const id of ids) {
    rest -= weights[id]
    if (rest < 0) return id
  }
  return ids[ids.length - 1]
}

// The row of the table: medians over rounds in which each side runs for about a millisecond.
function measure(vocab: number, pair: Pair, quick: boolean): (string | number)[] {
  const rounds = quick ? 9 : 51
  const sides = [pair.run, pair.baselineRun].map((run) => {
    // Long enough for both engines to reach their last tier.
    const end = performance.now() + (quick ? 50 : 300)
    while (performance.now() < end) run()
    return { run, repeats: Math.ceil(1 / timed(run, 5)), times: [] as number[] }
  })
  for (let round = 0; round < rounds; round++) {
    for (const { run, repeats, times } of sides) times.push(timed(run, repeats))
  }
  const [kernel, baseline] = sides.map(({ times }) =>
    times.sort((a, b) => a - b)[rounds >> 1] * 1e3
  )
  return [
    vocab,
    pair.kernel,
    kernel.toFixed(1),
    pair.baseline,
    baseline.toFixed(1),
    (kernel / baseline).toPrecision(2),
  ]
}

/** Milliseconds for one run, over `repeats` of them. */
function timed(run: () => unknown, repeats: number): number {
  const start = performance.now()
  for (let i = 0; i < repeats; i++) run()
  return (performance.now() - start) / repeats
}

/** Normal scores of standard deviation 2.5 `[vocab]`, by Box and Muller. */
function bellScores(vocab: number, seed: number): Float32Array {
  const stream = randomStream(seed)
  return Float32Array.from({ length: vocab }, () => {
    const radius = Math.sqrt(-2 * Math.log(1 - stream.nextUniform()))
    return 2.5 * radius * Math.cos(2 * Math.PI * stream.nextUniform())
  })
}

if (import.meta.main) printTable(await kernels({ quick: false }))
