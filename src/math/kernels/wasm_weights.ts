/**
 * WebAssembly source of the kernels that make weights of scores, cut them, and sum them by block.
 */
import { type Code, define, type FunctionSource, type Local } from "./assembler.ts"
import { BLOCK, COEFFICIENTS, EXPONENT_SHIFT, LEAST_EXPONENT, ROUNDER } from "./constants.ts"
import {
  advance,
  f32x4,
  f64,
  f64x2,
  i32,
  i32x4,
  range,
  repeat,
  v128,
  VECTOR,
} from "./instructions.ts"

/** Adds lanes 0 and 1 of the float32 `vector` to `low`, 2 and 3 to `high`, in float64. */
const addLanes = (vector: Local, low: Local, high: Local): Code => [
  ...low.set(f64x2.add(low.get, f64x2.promoteLowF32x4(vector.get))),
  ...high.set(
    f64x2.add(high.get, f64x2.promoteLowF32x4(f32x4.shuffle(vector.get, [2, 3, 2, 3]))),
  ),
]

/** `sum = value` for the first vector of a run, `sum + value` for the others. */
const addVector = (sum: Local, value: Code, index: number): Code =>
  sum.set(index === 0 ? value : f32x4.add(sum.get, value))

/** `(lane 0 + lane 2) + (lane 1 + lane 3)` */
const sumOfLanes = (low: Local, high: Local): Code => [
  ...low.set(f64x2.add(low.get, high.get)),
  ...f64.add(f64x2.extractLane(low.get, 0), f64x2.extractLane(low.get, 1)),
]

const zeroF64x2 = f64x2.splat(f64.zero)

/** `keeping` stores the weights and the sums of their blocks; else only their total is wanted. */
export function exponentials(isKeeping: boolean): FunctionSource {
  const params = {
    ...{ scores: "i32", end: "i32", max: "f32", scale: "f32" } as const,
    ...{ weights: "i32", sums: "i32" } as const,
  }
  return define(isKeeping ? "exponentials" : "sumExponentials", params, "f64", (p, local) => {
    // Constants stand in locals: V8 loads others from memory at every use.
    const [max, scale, least, rounder] = range(4).map(() => local("v128"))
    const coefficients = COEFFICIENTS.map(() => local("v128"))
    const [x, t, weight, run, low, high] = range(6).map(() => local("v128"))
    const total = local("f64")
    const sum = local("f64")
    const blockEnd = local("i32")
    const polynomial = coefficients.slice(0, -1).reduceRight<Code>(
      (rest, coefficient) => f32x4.add(f32x4.mul(rest, x.get), coefficient.get),
      coefficients[coefficients.length - 1].get,
    )
    const vector = (index: number): Code => [
      ...x.set(f32x4.pmax(
        f32x4.mul(f32x4.sub(v128.load(p.scores.get, index * VECTOR), max.get), scale.get),
        least.get,
      )),
      ...t.set(f32x4.add(x.get, rounder.get)),
      ...x.set(f32x4.sub(x.get, f32x4.sub(t.get, rounder.get))),
      ...weight.set(f32x4.mul(polynomial, i32x4.shl(t.get, EXPONENT_SHIFT))),
      ...(isKeeping ? v128.store(p.weights.get, weight.get, index * VECTOR) : []),
      ...addVector(run, weight.get, index),
    ]
    return [
      ...max.set(f32x4.splat(p.max.get)),
      ...scale.set(f32x4.splat(p.scale.get)),
      ...least.set(f32x4.const(LEAST_EXPONENT)),
      ...rounder.set(f32x4.const(ROUNDER)),
      ...coefficients.flatMap((local, i) => local.set(f32x4.const(COEFFICIENTS[i]))),
      ...repeat([
        ...low.set(zeroF64x2),
        ...high.set(zeroF64x2),
        ...blockEnd.set(i32.add(p.scores.get, i32.const(4 * BLOCK))),
        ...repeat([
          ...range(4).flatMap(vector),
          ...addLanes(run, low, high),
          ...advance(p.scores, 4 * VECTOR),
          ...(isKeeping ? advance(p.weights, 4 * VECTOR) : []),
        ], i32.ltU(p.scores.get, blockEnd.get)),
        ...sum.set(sumOfLanes(low, high)),
        ...(isKeeping ? [...f64.store(p.sums.get, sum.get), ...advance(p.sums, 8)] : []),
        ...total.set(f64.add(total.get, sum.get)),
      ], i32.ltU(p.scores.get, p.end.get)),
      ...total.get,
    ]
  })
}

/** Cuts weights by their keys, or by themselves. */
export const keepAtLeast: FunctionSource = define(
  "keepAtLeast",
  { keys: "i32", end: "i32", least: "f32", weights: "i32", sums: "i32" },
  undefined,
  (p, local) => {
    const [least, kept, run, low, high] = range(5).map(() => local("v128"))
    const blockEnd = local("i32")
    return [
      ...least.set(f32x4.splat(p.least.get)),
      ...repeat([
        ...low.set(zeroF64x2),
        ...high.set(zeroF64x2),
        ...blockEnd.set(i32.add(p.keys.get, i32.const(4 * BLOCK))),
        ...repeat([
          ...range(4).flatMap((j) => [
            ...kept.set(v128.and(
              v128.load(p.weights.get, j * VECTOR),
              f32x4.ge(v128.load(p.keys.get, j * VECTOR), least.get),
            )),
            ...v128.store(p.weights.get, kept.get, j * VECTOR),
            ...addVector(run, kept.get, j),
          ]),
          ...addLanes(run, low, high),
          ...advance(p.keys, 4 * VECTOR),
          ...advance(p.weights, 4 * VECTOR),
        ], i32.ltU(p.keys.get, blockEnd.get)),
        ...f64.store(p.sums.get, sumOfLanes(low, high)),
        ...advance(p.sums, 8),
      ], i32.ltU(p.keys.get, p.end.get)),
    ]
  },
)
