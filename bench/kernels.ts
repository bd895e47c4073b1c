import process from "node:process"
import {
  argmax,
  logSumExp,
  mixInto,
  randomStream,
  TokenDistribution,
  TokenWorkspace,
} from "genarm/math"
import { plainKernels } from "../src/math/kernels/plain_loops.ts"
import { type KernelFigures, numpyKernels, torchKernels } from "./peers/kernels.ts"
import { type Aim, aimAt } from "./_aims.ts"
import { median } from "./_statistics.ts"
import { type BenchTable, printTable } from "./_table.ts"

const TOP_P = 0.9
/** Vocabularies and numbers of rewards; peers run the first two. */
const cases = [[151936, 1], [151936, 4], [49152, 1], [49152, 3], [32000, 1], [262144, 8]] as const
const peerCases = cases.slice(0, 2)
const peers = { NumPy: numpyKernels, PyTorch: torchKernels }

/**
 * Times mixing and drawing for one token beside copies of as many bytes, plain JavaScript, and other
 * libraries, in turn.
 */
export async function kernels({ quick }: { quick: boolean }): Promise<BenchTable> {
  const notes = [
    "Medians in microseconds; the two sides of a row alternate in one process, peers alternate with " +
    "ours as processes. Above 1 is faster than what stands beside it; for a copy, the share of its " +
    "speed.",
    "A copy moves as many bytes as the mixing: each row read once, the result written once.",
    "Plain JavaScript: loops over Float32Array, softmax with Math.exp into an array, for top-p a sort " +
    "of all ids. Draws include the mixing, and log-sum-exp comes with them.",
  ]
  const rows: (string | number)[][] = []
  const ours: Record<string, Work> = {}
  for (const [vocab, rewards] of cases) {
    const work = new Work(vocab, rewards)
    ours[`${vocab} ${rewards}`] = work
    for (const [name, run, against, baseline] of work.pairs()) {
      const [mine, theirs] = alternate([run, baseline], quick ? 15 : 101)
      rows.push([vocab, rewards, name, ...figures(mine, against, theirs)])
    }
    if (rewards === 1) notes.push(`top-p ${TOP_P} keeps ${work.kept} of ${vocab} ids.`)
  }
  rows.push(...await besidePeers(ours, quick, notes))
  for (const work of Object.values(ours)) work.close()
  return {
    question: "What does the arithmetic of one token cost?",
    columns: ["vocab", "rewards", "work", "µs", "beside", "µs there", "ratio"],
    rows,
    aims: aimsOf(rows),
    notes,
  }
}

/** What was aimed at with 151,936 ids. */
function aimsOf(rows: readonly (readonly (string | number)[])[]): Aim[] {
  const wanted: [work: string, beside: string, what: string, aim: number][] = [
    ["mix", "a copy", "of a copy's speed", 0.6],
    ["mix, draw by top-p", "plain, sorting", "times as fast as plain JavaScript", 6],
    ["mix, draw by top-p", "NumPy", "times as fast as NumPy", 1],
    ["mix, draw by top-p", "PyTorch", "times as fast as PyTorch", 1],
  ]
  return wanted.flatMap(([work, beside, what, aim]) =>
    rows.filter((row) => row[0] === 151936 && row[2] === work && String(row[4]).startsWith(beside))
      .map((row) =>
        aimAt(`${work}, 151,936 ids, ${row[1]} rewards: ${what}`, row[6], "higher", aim)
      )
  )
}

async function besidePeers(
  ours: Readonly<Record<string, Work>>,
  quick: boolean,
  notes: string[],
): Promise<(string | number)[][]> {
  const rows: (string | number)[][] = []
  const rounds = quick ? 1 : 3
  for (const [name, run] of Object.entries(peers)) {
    const found: KernelFigures[] = []
    const times: Record<string, number[]> = {}
    for (let round = 0; round < rounds; round++) {
      const result = await run({ cases: peerCases, seconds: quick ? 0.1 : 0.5 })
      if ("skipped" in result) {
        notes.push(`${name} was left out: ${result.skipped}`)
        break
      }
      found.push(result.figures)
      for (const [vocab, rewards] of peerCases) {
        const { mix, draw, topP } = ours[`${vocab} ${rewards}`]
        const medians = alternate([mix, draw, topP], quick ? 15 : 51)
        for (const [i, kind] of (["mix", "draw", "topP"] as const).entries()) {
          const key = `${vocab} ${rewards} ${kind}`
          times[key] = [...times[key] ?? [], medians[i]]
        }
      }
    }
    if (found.length < rounds) continue
    for (const [vocab, rewards] of peerCases) {
      for (const kind of ["mix", "draw", "topP"] as const) {
        const mine = median(times[`${vocab} ${rewards} ${kind}`])
        const theirs = median(found.map(({ us }) => us[`${vocab} ${rewards}`][kind]))
        const what = { mix: "mix", draw: "mix, draw", topP: "mix, draw by top-p" }[kind]
        rows.push([vocab, rewards, what, ...figures(mine, found[0].peer, theirs)])
      }
    }
  }
  return rows
}

function figures(mine: number, against: string, theirs: number): (string | number)[] {
  return [mine.toFixed(1), against, theirs.toFixed(1), (theirs / mine).toPrecision(2)]
}

type Pair = readonly [name: string, run: () => unknown, against: string, baseline: () => unknown]

/** The work of one token, on arrays in a workspace and on others. */
class Work {
  readonly vocab: number
  readonly kept: number
  readonly mix: () => unknown
  readonly draw: () => unknown
  readonly topP: () => unknown
  readonly #workspace: TokenWorkspace
  readonly #rows: readonly Float32Array[]
  readonly #weights: Float64Array

  constructor(vocab: number, rewards: number) {
    this.vocab = vocab
    const rows = Array.from({ length: rewards + 1 }, (_, seed) => bellScores(vocab, seed))
    this.#rows = rows
    this.#weights = Float64Array.from({ length: rewards }, (_, i) => (0.5 + i / 8) / rewards)
    this.#workspace = TokenWorkspace.acquire(vocab, rewards + 1)
    this.#workspace.rows.forEach((row, i) => row.set(rows[i]))
    const { scores, rows: [base, ...rest] } = this.#workspace
    const distribution = new TokenDistribution(vocab)
    const random = randomStream(1)
    const all = { temperature: 1 }
    const truncation = { temperature: 1, topP: TOP_P }
    this.mix = () => mixInto(base, rest, this.#weights, scores)
    this.draw = () => {
      this.mix()
      return distribution.set(scores, all).draw(random.nextUniform())
    }
    this.topP = () => {
      this.mix()
      return distribution.set(scores, truncation).draw(random.nextUniform())
    }
    this.topP()
    this.kept = distribution.count
  }

  pairs(): Pair[] {
    const { vocab } = this
    const { scores, rows: [base, ...rest] } = this.#workspace
    const [elsewhere, ...others] = this.#rows
    const weights = this.#weights
    const out = new Float32Array(vocab)
    const half = vocab * (rest.length + 2) / 2
    const [from, to] = [new Float32Array(half).fill(1), new Float32Array(half)]
    const copy = () => to.set(from)
    const random = randomStream(1)
    const plainly = (topP: number | undefined) => () => {
      plainMix(elsewhere, others, weights, out)
      return plainDraw(out, random.nextUniform(), topP)
    }
    const loops = () => plainKernels.mix(base, rest, weights, rest.length, vocab, false, scores)
    const pairs: Pair[] = [
      ["mix", this.mix, "a copy", copy],
      ["copy the base in, mix", () => mixInto(elsewhere, rest, weights, scores), "a copy", copy],
      ["mix rows from elsewhere", () => mixInto(elsewhere, others, weights, out), "a copy", copy],
    ]
    if (rest.length < 4) pairs.push(["mix", this.mix, "our plain loops", loops])
    pairs.push(
      ["greatest", () => argmax(scores), "plain", () => plainMax(scores)],
      ["log-sum-exp", () => logSumExp(scores), "plain, Math.exp", () => plainLogSumExp(scores)],
      ["mix, draw", this.draw, "plain", plainly(undefined)],
      ["mix, draw by top-p", this.topP, "plain, sorting", plainly(TOP_P)],
    )
    return pairs
  }

  close(): void {
    this.#workspace.release()
  }
}

function plainMix(
  base: Float32Array,
  rows: readonly Float32Array[],
  weights: ArrayLike<number>,
  out: Float32Array,
): void {
  for (let v = 0; v < out.length; v++) {
    let sum = base[v]
    for (let r = 0; r < rows.length; r++) sum += weights[r] * rows[r][v]
    out[v] = sum
  }
}

function plainMax(scores: Float32Array): number {
  let id = 0
  for (let v = 1; v < scores.length; v++) if (scores[v] > scores[id]) id = v
  return id
}

function plainLogSumExp(scores: Float32Array): number {
  let max = -Infinity
  for (let v = 0; v < scores.length; v++) if (scores[v] > max) max = scores[v]
  let sum = 0
  for (let v = 0; v < scores.length; v++) sum += Math.exp(scores[v] - max)
  return max + Math.log(sum)
}

function plainDraw(scores: Float32Array, uniform: number, topP: number | undefined): number {
  let max = -Infinity
  for (const score of scores) if (score > max) max = score
  const weights = Array.from(scores, (score) => Math.exp(score - max))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  let ids = Array.from(weights.keys())
  let mass = total
  if (topP !== undefined) {
    ids.sort((a, b) => weights[b] - weights[a])
    mass = 0
    let kept = 0
    while (kept < ids.length && mass < topP * total) mass += weights[ids[kept++]]
    ids = ids.slice(0, kept)
  }
  let rest = uniform * mass
  for (const id of ids) {
    rest -= weights[id]
    if (rest < 0) return id
  }
  return ids[ids.length - 1]
}

/** Median microseconds of each side over rounds in which they take turns. */
function alternate(sides: readonly (() => unknown)[], rounds: number): number[] {
  const timed = sides.map((run) => {
    // Until the engine has compiled it for good, or a moment has passed.
    const end = performance.now() + 150
    for (let i = 0; i < 2000 && performance.now() < end; i++) run()
    // About a quarter of a millisecond: on a busy machine a longer one is often interrupted.
    return { run, repeats: Math.ceil(0.25 / time(run, 3)), times: [] as number[] }
  })
  const end = performance.now() + 1500
  for (let round = 0; round < rounds && (round < 7 || performance.now() < end); round++) {
    for (const { run, repeats, times } of timed) times.push(time(run, repeats))
  }
  return timed.map(({ times }) => 1e3 * median(times))
}

/** Milliseconds for one run, over `repeats` of them. */
function time(run: () => unknown, repeats: number): number {
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

if (import.meta.main) printTable(await kernels({ quick: process.argv.includes("--quick") }))
