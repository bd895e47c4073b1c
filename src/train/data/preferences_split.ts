/**
 * Holding items out of training. Items of one prompt stay on one side, as a model that was trained
 * on one of them has seen the others' prompt. The sides depend on the prompts and the seed, and not
 * on the order of the items.
 */
import { createHash } from "node:crypto"
import { GenArmError } from "../../errors.ts"

/** Two sides of some items, each in the order they were given. */
export interface Split<T> {
  /** To train on. */
  readonly train: readonly T[]
  /** To evaluate on. */
  readonly heldOut: readonly T[]
}

/**
 * Splits items by their prompts. The held-out side comes as close to `share` of the items as whole
 * prompts allow in the order the seed gives, and has at least one prompt unless `share` is 0. Split
 * pairs before they are tokenised: one prompt may be cut differently for different responses.
 *
 * @param items anything with a prompt: `PreferencePair`s, `TokenPair`s.
 * @param share of the items to hold out, from 0 up to but not including 1.
 * @param seed a uint32.
 * @throws {GenArmError} `InvalidOption` when share or seed is out of range, or when there are fewer
 * than two prompts to put on two sides.
 *
 * @example
 * ```ts
 * import { splitHeldOut } from "genarm/train"
 * import { assertEquals } from "@std/assert"
 *
 * const pairs = Array.from({ length: 100 }, (_, i) => ({ prompt: `Story ${i}`, chosen: "a" }))
 * const { train, heldOut } = splitHeldOut(pairs, 0.05, 1)
 * assertEquals([train.length, heldOut.length], [95, 5])
 * ```
 */
export function splitHeldOut<T extends { readonly prompt: unknown }>(
  items: readonly T[],
  share: number,
  seed: number,
): Split<T> {
  if (!(share >= 0 && share < 1)) {
    throw invalid("share", `expected a share from 0 up to but not including 1, found ${share}`)
  }
  if (!Number.isInteger(seed) || seed < 0 || seed > 0xffffffff) {
    throw invalid("seed", `expected a seed from 0 to 4294967295, found ${seed}`)
  }
  if (share === 0) return { train: [...items], heldOut: [] }
  const sizes = new Map<string, number>()
  const keys = items.map(({ prompt }) => JSON.stringify(prompt) ?? "")
  for (const key of keys) sizes.set(key, (sizes.get(key) ?? 0) + 1)
  if (sizes.size < 2) {
    throw invalid(
      "items",
      `expected items of at least two prompts to hold one out, found ${items.length} items of ` +
        `${sizes.size}: hold out a file of its own, or nothing with a share of 0`,
    )
  }
  const drawn = drawPrompts(sizes, share * items.length, seed)
  const side = (held: boolean) => items.filter((_, i) => drawn.has(keys[i]) === held)
  return { train: side(false), heldOut: side(true) }
}

/** Draws prompts whose sizes sum to about `target`. */
function drawPrompts(
  sizes: ReadonlyMap<string, number>,
  target: number,
  seed: number,
): ReadonlySet<string> {
  const order = [...sizes]
    .map(([key, size]) => ({ key, size, hash: hashOf(seed, key) }))
    .sort((a, b) => a.hash < b.hash ? -1 : 1)
  const drawn = new Set<string>()
  let sum = 0
  for (const { key, size } of order) {
    // Only where it brings the sum closer, and something is left to train on.
    if (sum + size / 2 > target || drawn.size === order.length - 1) continue
    drawn.add(key)
    sum += size
  }
  if (drawn.size > 0) return drawn
  const smallest = order.reduce((least, group) => group.size < least.size ? group : least)
  return new Set([smallest.key])
}

function hashOf(seed: number, key: string): string {
  return createHash("sha256").update(`${seed}\n${key}`).digest("hex")
}

function invalid(option: string, message: string): GenArmError {
  return new GenArmError({ _tag: "InvalidOption", path: [option] }, message)
}
