/**
 * WebAssembly source of the kernels behind top-p: the masses of buckets of weights, and the members of
 * one of them. Most ids weigh too little to matter, and are passed over 16 at a time.
 */
import { type Code, define, type FunctionSource, type Local } from "./assembler.ts"
import { BUCKET_SHIFT } from "./constants.ts"
import {
  advance,
  f32x4,
  f64,
  i32,
  i32x4,
  range,
  repeat,
  v128,
  VECTOR,
  when,
} from "./instructions.ts"

/**
 * Looks at 16 ids at a time, and where a lane is wanted visits each of the four vectors with the bits
 * of its lanes and its offset from the pointer.
 */
const visitWanted = (
  pointer: Local,
  end: Local,
  loaded: readonly Local[],
  isWanted: (vector: Local) => Code,
  visit: (mask: Code, offset: number, vector: Local) => Code,
): Code =>
  repeat([
    ...loaded.flatMap((vector, j) => vector.set(v128.load(pointer.get, j * VECTOR))),
    ...when(
      i32x4.bitmask(loaded.map(isWanted).reduce(v128.or)),
      loaded.flatMap((vector, j) => visit(i32x4.bitmask(isWanted(vector)), j * VECTOR, vector)),
    ),
    ...advance(pointer, 4 * VECTOR),
  ], i32.ltU(pointer.get, end.get))

/** Adds weights of at least `least` to their buckets. */
export const addToBuckets: FunctionSource = define(
  "addToBuckets",
  { weights: "i32", end: "i32", least: "f32", masses: "i32" },
  undefined,
  (p, local) => {
    const least = local("v128")
    const [buckets, kept] = range(2).map(() => local("v128"))
    const loaded = range(4).map(() => local("v128"))
    const address = local("i32")
    return [
      ...least.set(f32x4.splat(p.least.get)),
      ...visitWanted(
        p.weights,
        p.end,
        loaded,
        (vector) => f32x4.ge(vector.get, least.get),
        (mask, _, vector) =>
          when(mask, [
            // Lanes that are not wanted add 0. 8 bytes to a bucket.
            ...kept.set(v128.and(vector.get, f32x4.ge(vector.get, least.get))),
            ...buckets.set(i32x4.shl(i32x4.shrU(vector.get, BUCKET_SHIFT), 3)),
            ...range(4).flatMap((j) => [
              ...address.set(i32.add(p.masses.get, i32x4.extractLane(buckets.get, j))),
              ...f64.store(
                address.get,
                f64.add(f64.load(address.get), f64.promoteF32(f32x4.extractLane(kept.get, j))),
              ),
            ]),
          ]),
      ),
    ]
  },
)

/** Lists the ids of one bucket; returns how many. */
export const gatherBucket: FunctionSource = define(
  "gatherBucket",
  { weights: "i32", end: "i32", from: "i32", to: "i32", members: "i32" },
  "i32",
  (p, local) => {
    const [from, to] = range(2).map(() => local("v128"))
    const loaded = range(4).map(() => local("v128"))
    const first = local("i32")
    const bits = local("i32")
    const member = local("i32")
    return [
      ...first.set(p.weights.get),
      ...member.set(p.members.get),
      ...from.set(i32x4.splat(p.from.get)),
      ...to.set(i32x4.splat(p.to.get)),
      ...visitWanted(
        p.weights,
        p.end,
        loaded,
        (vector) => v128.and(i32x4.geS(vector.get, from.get), i32x4.ltS(vector.get, to.get)),
        (mask, offset) => [
          ...bits.set(mask),
          ...when(
            bits.get,
            repeat([
              // The id, from its place in the memory, 4 bytes each.
              ...i32.store(
                member.get,
                i32.add(
                  i32.shrU(
                    i32.sub(i32.add(p.weights.get, i32.const(offset)), first.get),
                    i32.const(2),
                  ),
                  i32.ctz(bits.get),
                ),
              ),
              ...advance(member, 4),
              ...bits.set(i32.and(bits.get, i32.sub(bits.get, i32.const(1)))),
            ], bits.get),
          ),
        ],
      ),
      ...i32.shrU(i32.sub(member.get, p.members.get), i32.const(2)),
    ]
  },
)
