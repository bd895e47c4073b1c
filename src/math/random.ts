/**
 * A stream of pseudo-random numbers: xoshiro128** 1.1 of David Blackman and Sebastiano Vigna
 * (https://prng.di.unimi.it/xoshiro128starstar.c), period 2^128 - 1, in 32-bit integer arithmetic,
 * so that every engine gives the same numbers.
 *
 * {@link randomStream} makes one from a seed.
 *
 * @example
 * ```ts
 * import { RandomStream } from "genarm/math"
 * import { assertEquals } from "@std/assert"
 *
 * const stream = new RandomStream(1, 2, 3, 4)
 * assertEquals(stream.nextUint32(), 11520)
 * ```
 */
export class RandomStream {
  #a: number
  #b: number
  #c: number
  #d: number

  /**
   * Starts at a state of the published generator, four uint32 in its order.
   *
   * @throws {RangeError} when one is not a uint32, or all are 0, which the generator never leaves.
   */
  constructor(a: number, b: number, c: number, d: number) {
    checkUint32("a state word", a)
    checkUint32("a state word", b)
    checkUint32("a state word", c)
    checkUint32("a state word", d)
    if (a === 0 && b === 0 && c === 0 && d === 0) {
      throw new RangeError("expected a state word other than 0, found four zeros: use randomStream")
    }
    this.#a = a | 0
    this.#b = b | 0
    this.#c = c | 0
    this.#d = d | 0
  }

  /** The next integer, uniform in [0, 2^32). Takes one step of the generator. */
  nextUint32(): number {
    const b = this.#b
    const fivefold = Math.imul(b, 5)
    const result = Math.imul(fivefold << 7 | fivefold >>> 25, 9)
    const c = this.#c ^ this.#a
    const d = this.#d ^ b
    this.#b = b ^ c
    this.#a ^= d
    this.#c = c ^ b << 9
    this.#d = d << 11 | d >>> 21
    return result >>> 0
  }

  /**
   * The next float64, uniform in [0, 1): a multiple of 2^-53. Takes two steps of the generator; the
   * first gives the upper 27 bits, the second the lower 26, from the high end of each.
   */
  nextUniform(): number {
    const high = this.nextUint32() >>> 5
    const low = this.nextUint32() >>> 6
    return (high * 67108864 + low) / 9007199254740992
  }
}

/**
 * The stream of a seed. Its four state words are successive outputs of a SplitMix generator of 32
 * bits: a counter that starts at `seed` and steps by 0x9e3779b9, through the finaliser of
 * MurmurHash3. Neighbouring seeds so give unrelated streams.
 *
 * One token costs one `nextUniform`, two steps of the generator.
 *
 * @param seed a uint32.
 * @throws {RangeError} when `seed` is not an integer in [0, 2^32).
 *
 * @example
 * ```ts
 * import { randomStream } from "genarm/math"
 * import { assertEquals } from "@std/assert"
 *
 * assertEquals(randomStream(7).nextUniform(), randomStream(7).nextUniform())
 * ```
 */
export function randomStream(seed: number): RandomStream {
  checkUint32("a seed", seed)
  const word = (i: number) => murmurFinalizer(seed + Math.imul(i, 0x9e3779b9))
  return new RandomStream(word(1), word(2), word(3), word(4))
}

/**
 * A fresh seed, uniform over the uint32, from the system's entropy. Log it: with it, a run can be
 * repeated.
 *
 * @example
 * ```ts
 * import { drawSeed, randomStream } from "genarm/math"
 * import { assert } from "@std/assert"
 *
 * assert(randomStream(drawSeed()).nextUniform() < 1)
 * ```
 */
export function drawSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]
}

// fmix32 of MurmurHash3 (Austin Appleby, public domain): a bijection of the uint32.
function murmurFinalizer(x: number): number {
  x = Math.imul(x ^ x >>> 16, 0x85ebca6b)
  x = Math.imul(x ^ x >>> 13, 0xc2b2ae35)
  return (x ^ x >>> 16) >>> 0
}

function checkUint32(name: string, value: number): void {
  if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
    throw new RangeError(
      `expected ${name} to be an integer from 0 to 4294967295, found ${value}: drawSeed() gives one`,
    )
  }
}
