/**
 * The kernels as plain loops, from the id or the block `from` on: the reference, what runs where there
 * is no WebAssembly, and what finishes the last ids that fill no block.
 */
import { BLOCK, BUCKET_SHIFT, COEFFICIENTS, GROUP, LEAST_EXPONENT, ROUNDER } from "./constants.ts"
import type { Kernels } from "./kernels.ts"

const { fround } = Math

export function mix(
  base: Float32Array,
  rows: readonly Float32Array[],
  weights: Float64Array,
  count: number,
  length: number,
  isExcluding: boolean,
  out: Float32Array,
  from: number,
): void {
  for (let r = 0; r < count; r++) {
    const add = isExcluding ? addExcluding : addRow
    add(r === 0 ? base : out, rows[r], fround(weights[r]), from, length, out)
  }
}

function addRow(
  base: Float32Array,
  row: Float32Array,
  weight: number,
  from: number,
  to: number,
  out: Float32Array,
): void {
  for (let v = from; v < to; v++) out[v] = base[v] + fround(weight * row[v])
}

function addExcluding(
  base: Float32Array,
  row: Float32Array,
  weight: number,
  from: number,
  to: number,
  out: Float32Array,
): void {
  for (let v = from; v < to; v++) {
    const isExcluded = base[v] === -Infinity || row[v] === -Infinity
    out[v] = isExcluded ? -Infinity : base[v] + fround(weight * row[v])
  }
}

export function groupMaxima(scores: Float32Array, maxima: Float32Array, from: number): void {
  for (let start = from; start < scores.length; start += GROUP) {
    const end = Math.min(start + GROUP, scores.length)
    let max = -Infinity
    for (let v = start; v < end; v++) if (scores[v] > max) max = scores[v]
    maxima[start / GROUP] = max
  }
}

/** `[128]`: 0, and 2^-126 to 2^0 as the rounder's last bits count them. */
const POWERS = Float32Array.from({ length: 128 }, (_, i) => i === 0 ? 0 : 2 ** (i - 127))
const [C0, C1, C2, C3, C4, C5] = COEFFICIENTS

/** The weights of the scores `from` to before `to`, into `out` from `at` on. */
function fill(
  scores: Float32Array,
  from: number,
  to: number,
  max: number,
  scale: number,
  out: Float32Array,
  at: number,
): void {
  for (let v = from; v < to; v++) {
    let x = fround(fround(scores[v] - max) * scale)
    if (x < LEAST_EXPONENT) x = LEAST_EXPONENT
    const t = fround(x + ROUNDER)
    x = fround(x - fround(t - ROUNDER))
    let power = fround(fround(C5 * x) + C4)
    power = fround(fround(power * x) + C3)
    power = fround(fround(power * x) + C2)
    power = fround(fround(power * x) + C1)
    power = fround(fround(power * x) + C0)
    out[at + v - from] = power * POWERS[t - (ROUNDER - 127)]
  }
}

/**
 * The sum of a block: four lanes, by id modulo 4, of float32 sums over 16 ids that are added up in
 * float64.
 */
export function sumBlock(weights: Float32Array, from: number, to: number): number {
  const whole = from + (to - from & ~15)
  let a = 0
  let b = 0
  let c = 0
  let d = 0
  for (let v = from; v < whole; v += 16) {
    a += sumLane(weights[v], weights[v + 4], weights[v + 8], weights[v + 12])
    b += sumLane(weights[v + 1], weights[v + 5], weights[v + 9], weights[v + 13])
    c += sumLane(weights[v + 2], weights[v + 6], weights[v + 10], weights[v + 14])
    d += sumLane(weights[v + 3], weights[v + 7], weights[v + 11], weights[v + 15])
  }
  let sum = a + c + (b + d)
  for (let v = whole; v < to; v++) sum += weights[v]
  return sum
}

function sumLane(a: number, b: number, c: number, d: number): number {
  return fround(fround(fround(a + b) + c) + d)
}

/** `total` is the sum of the blocks before `from`. */
export function exponentials(
  scores: Float32Array,
  max: number,
  scale: number,
  weights: Float32Array,
  sums: Float64Array,
  from: number,
  total: number,
): number {
  let all = total
  for (let start = from; start < scores.length; start += BLOCK) {
    const end = Math.min(start + BLOCK, scores.length)
    fill(scores, start, end, max, scale, weights, start)
    all += sums[start / BLOCK] = sumBlock(weights, start, end)
  }
  return all
}

const block = new Float32Array(BLOCK)

export function sumExponentials(
  scores: Float32Array,
  max: number,
  scale: number,
  from: number,
  total: number,
): number {
  let all = total
  for (let start = from; start < scores.length; start += BLOCK) {
    const end = Math.min(start + BLOCK, scores.length)
    fill(scores, start, end, max, scale, block, 0)
    all += sumBlock(block, 0, end - start)
  }
  return all
}

export function keepAtLeast(
  keys: Float32Array,
  least: number,
  weights: Float32Array,
  sums: Float64Array,
  fromBlock: number,
  toBlock: number,
): void {
  for (let b = fromBlock; b < toBlock; b++) {
    const end = Math.min((b + 1) * BLOCK, weights.length)
    for (let v = b * BLOCK; v < end; v++) if (!(keys[v] >= least)) weights[v] = 0
    sums[b] = sumBlock(weights, b * BLOCK, end)
  }
}

export function addToBuckets(
  weights: Float32Array,
  bits: Int32Array,
  least: number,
  masses: Float64Array,
  from: number,
): void {
  for (let v = from; v < weights.length; v++) {
    if (weights[v] >= least) masses[bits[v] >> BUCKET_SHIFT] += weights[v]
  }
}

/** `count` ids are listed already. */
export function gatherBucket(
  bits: Int32Array,
  least: number,
  below: number,
  members: Int32Array,
  from: number,
  count: number,
): number {
  let listed = count
  for (let v = from; v < bits.length; v++) {
    if (bits[v] >= least && bits[v] < below) members[listed++] = v
  }
  return listed
}

export function multiply(
  values: Float32Array,
  factor: number,
  out: Float32Array,
  from: number,
): void {
  for (let v = from; v < values.length; v++) out[v] = values[v] * factor
}

export function areBelowInfinity(scores: Float32Array, from: number): boolean {
  for (let v = from; v < scores.length; v++) if (!(scores[v] < Infinity)) return false
  return true
}

/** The plain loops over whole arrays, wherever they lie. */
export const plainKernels: Kernels = {
  buffer: undefined,
  mix: (base, rows, weights, count, length, isExcluding, out) =>
    mix(base, rows, weights, count, length, isExcluding, out, 0),
  groupMaxima: (scores, maxima) => groupMaxima(scores, maxima, 0),
  exponentials: (scores, max, scale, weights, sums) =>
    exponentials(scores, max, scale, weights, sums, 0, 0),
  sumExponentials: (scores, max, scale) => sumExponentials(scores, max, scale, 0, 0),
  keepAtLeast,
  addToBuckets: (weights, bits, least, masses) => addToBuckets(weights, bits, least, masses, 0),
  gatherBucket: (bits, from, to, members) => gatherBucket(bits, from, to, members, 0, 0),
  multiply: (values, factor, out) => multiply(values, factor, out, 0),
  areBelowInfinity: (scores) => areBelowInfinity(scores, 0),
}
