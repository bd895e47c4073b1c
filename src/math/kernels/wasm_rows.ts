/**
 * WebAssembly source of the kernels that stream through rows: mixing, maxima, multiplying, checking.
 */
import { type Code, define, type FunctionSource, type Local } from "./assembler.ts"
import { GROUP } from "./constants.ts"
import { advance, f32, f32x4, i32, i32x4, range, repeat, v128, VECTOR } from "./instructions.ts"

/**
 * `out = base + w0*row0 + ...`, added from left to right. In `excluding`, -Infinity in the base or
 * in a row wins under any weight.
 */
export function mix(count: number, isExcluding: boolean): FunctionSource {
  const rowNames = range(count).map((i) => `row${i}`)
  const weightNames = range(count).map((i) => `weight${i}`)
  const params = {
    ...{ base: "i32", out: "i32", end: "i32" } as const,
    ...Object.fromEntries(rowNames.map((name) => [name, "i32" as const])),
    ...Object.fromEntries(weightNames.map((name) => [name, "f32" as const])),
  }
  const name = `mix${count}${isExcluding ? "Excluding" : ""}`
  return define<string>(name, params, undefined, (p, local) => {
    const weights = weightNames.map(() => local("v128"))
    const [least, sum, term, excluded] = range(4).map(() => local("v128"))
    const isLeast = (value: Local): Code => f32x4.eq(value.get, least.get)
    const vector = (offset: number): Code => [
      ...sum.set(v128.load(p.base.get, offset)),
      ...(isExcluding ? excluded.set(isLeast(sum)) : []),
      ...range(count).flatMap((i) => [
        ...term.set(v128.load(p[rowNames[i]].get, offset)),
        ...(isExcluding ? excluded.set(v128.or(excluded.get, isLeast(term))) : []),
        ...sum.set(f32x4.add(sum.get, f32x4.mul(weights[i].get, term.get))),
      ]),
      ...v128.store(
        p.out.get,
        isExcluding ? v128.bitselect(least.get, sum.get, excluded.get) : sum.get,
        offset,
      ),
    ]
    return [
      ...least.set(f32x4.const(-Infinity)),
      ...weights.flatMap((weight, i) => weight.set(f32x4.splat(p[weightNames[i]].get))),
      ...repeat([
        ...range(4).flatMap((j) => vector(j * VECTOR)),
        ...["base", "out", ...rowNames].flatMap((name) => advance(p[name], 4 * VECTOR)),
      ], i32.ltU(p.base.get, p.end.get)),
    ]
  })
}

/** The greatest of each group, four lanes by four. */
export const groupMaxima: FunctionSource = define(
  "groupMaxima",
  { scores: "i32", end: "i32", maxima: "i32" },
  undefined,
  (p, local) => {
    const lanes = range(4).map(() => local("v128"))
    const steps = GROUP / 16
    return repeat([
      ...lanes.flatMap((lane) => lane.set(f32x4.const(-Infinity))),
      ...range(steps).flatMap((step) =>
        lanes.flatMap((lane, j) =>
          lane.set(f32x4.pmax(lane.get, v128.load(p.scores.get, (step * 4 + j) * VECTOR)))
        )
      ),
      ...lanes[0].set(f32x4.pmax(
        f32x4.pmax(lanes[0].get, lanes[1].get),
        f32x4.pmax(lanes[2].get, lanes[3].get),
      )),
      ...lanes[0].set(f32x4.pmax(lanes[0].get, f32x4.shuffle(lanes[0].get, [2, 3, 0, 1]))),
      ...lanes[0].set(f32x4.pmax(lanes[0].get, f32x4.shuffle(lanes[0].get, [1, 0, 3, 2]))),
      ...f32.store(p.maxima.get, f32x4.extractLane(lanes[0].get, 0)),
      ...advance(p.scores, 4 * GROUP),
      ...advance(p.maxima, 4),
    ], i32.ltU(p.scores.get, p.end.get))
  },
)

/** `out = values * factor` */
export const multiply: FunctionSource = define(
  "multiply",
  { values: "i32", end: "i32", factor: "f32", out: "i32" },
  undefined,
  (p, local) => {
    const factor = local("v128")
    return [
      ...factor.set(f32x4.splat(p.factor.get)),
      ...repeat([
        ...range(4).flatMap((j) =>
          v128.store(
            p.out.get,
            f32x4.mul(v128.load(p.values.get, j * VECTOR), factor.get),
            j * VECTOR,
          )
        ),
        ...advance(p.values, 4 * VECTOR),
        ...advance(p.out, 4 * VECTOR),
      ], i32.ltU(p.values.get, p.end.get)),
    ]
  },
)

/** Whether every score is below Infinity, as 1 or 0. */
export const areBelowInfinity: FunctionSource = define(
  "areBelowInfinity",
  { scores: "i32", end: "i32" },
  "i32",
  (p, local) => {
    const below = local("v128")
    return [
      ...below.set(f32x4.eq(f32x4.const(0), f32x4.const(0))),
      ...repeat([
        ...range(4).flatMap((j) =>
          below.set(v128.and(
            below.get,
            f32x4.lt(v128.load(p.scores.get, j * VECTOR), f32x4.const(Infinity)),
          ))
        ),
        ...advance(p.scores, 4 * VECTOR),
      ], i32.ltU(p.scores.get, p.end.get)),
      ...i32.eq(i32x4.bitmask(below.get), i32.const(15)),
    ]
  },
)
