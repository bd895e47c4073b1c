/**
 * Figures that come from a sample, with the interval in which the true one lies: the percentile
 * bootstrap (Efron 1979). A sample is drawn from the sample, with replacement and as large, again
 * and again; the interval holds the middle 95 % of what comes out.
 */
import { Schema } from "effect"
import { GenArmError } from "../errors.ts"
import { randomStream } from "../math/random.ts"
import { decodeAt, printValue } from "../plugin/options.ts"

/** A figure with its interval. */
export interface Estimate {
  /** Of the sample at hand. */
  readonly value: number
  /** The lower end; `-Infinity` for a sample of one, which says nothing of the spread. */
  readonly low: number
  /** The upper end; `Infinity` for a sample of one. */
  readonly high: number
}

/** How intervals are made. */
export interface EstimateOptions {
  /** How often the interval is to hold the true figure; 0.95 where absent. */
  readonly level?: number
  /** Samples drawn from the sample; 2000 where absent. */
  readonly resamples?: number
  /** A uint32 that fixes them; 0 where absent. */
  readonly seed?: number
}

/** The parts of `EstimateOptions`, for functions with further options. */
export const estimateFields = {
  level: Schema.optionalKey(
    Schema.Finite.check(Schema.isGreaterThan(0), Schema.isLessThan(1)),
  ),
  resamples: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0))),
  seed: Schema.optionalKey(
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 32 - 1 })),
  ),
}

const optionsSchema = Schema.Struct(estimateFields)

/** Checks the options and fills in what was left out. */
export function estimateOptions(options: EstimateOptions): Required<EstimateOptions> {
  return {
    level: 0.95,
    resamples: 2000,
    seed: 0,
    ...decodeAt(optionsSchema, options, [], "InvalidOption"),
  }
}

/**
 * The percentile bootstrap of any figure.
 *
 * @param count How many independent items the sample has, e.g. texts.
 * @param statistic The figure of a sample; `picks`, `[count]`, are the items it has, with repeats.
 * @throws {GenArmError} Reason `InvalidOption` when there is no item.
 *
 * @example
 * ```ts
 * import { bootstrap } from "genarm/evaluate"
 * import { assert } from "@std/assert"
 *
 * const values = [3, 1, 4, 1, 5, 9, 2, 6]
 * const { value, low, high } = bootstrap(
 *   values.length,
 *   (picks) => Math.max(...Array.from(picks, (i) => values[i])),
 * )
 * assert(value === 9 && low <= high)
 * ```
 */
export function bootstrap(
  count: number,
  statistic: (picks: Int32Array) => number,
  options: EstimateOptions = {},
): Estimate {
  const { level, resamples, seed } = estimateOptions(options)
  if (!(Number.isInteger(count) && count > 0)) {
    throw new GenArmError(
      { _tag: "InvalidOption", path: ["count"] },
      `expected one value or more to estimate from, found ${printValue(count)}`,
    )
  }
  const picks = Int32Array.from({ length: count }, (_, i) => i)
  const value = statistic(picks)
  if (count === 1) return { value, low: -Infinity, high: Infinity }
  const random = randomStream(seed)
  const found = Float64Array.from({ length: resamples }, () => {
    for (let i = 0; i < count; i++) picks[i] = Math.floor(random.nextUniform() * count)
    return statistic(picks)
  }).sort()
  const tail = (1 - level) / 2
  return { value, low: quantile(found, tail), high: quantile(found, 1 - tail) }
}

/**
 * The mean of independent values.
 *
 * @throws {GenArmError} Reason `InvalidOption` when there is none, or one is NaN.
 *
 * @example
 * ```ts
 * import { meanEstimate } from "genarm/evaluate"
 * import { assert } from "@std/assert"
 *
 * const { value, low, high } = meanEstimate([1, 2, 3, 4])
 * assert(value === 2.5 && low < 2.5 && high > 2.5)
 * ```
 */
export function meanEstimate(
  values: readonly number[],
  options: EstimateOptions = {},
): Estimate {
  return ratioEstimate(values, values.map(() => 1), options)
}

/**
 * A sum over texts divided by another, such as nats per token: long texts count for more.
 *
 * @param numerators One for each text.
 * @param denominators One for each text, in the same order.
 * @throws {GenArmError} Reason `InvalidOption` when there is none, one is NaN, or the lengths differ.
 *
 * @example
 * ```ts
 * import { ratioEstimate } from "genarm/evaluate"
 * import { assertEquals } from "@std/assert"
 *
 * assertEquals(ratioEstimate([2, 4], [10, 20]).value, 0.2)
 * ```
 */
export function ratioEstimate(
  numerators: readonly number[],
  denominators: readonly number[],
  options: EstimateOptions = {},
): Estimate {
  checkNumbers("numerators", numerators)
  checkNumbers("denominators", denominators)
  checkPaired(numerators, denominators)
  return bootstrap(numerators.length, (picks) => {
    let sum = 0
    let count = 0
    for (let i = 0; i < picks.length; i++) {
      sum += numerators[picks[i]]
      count += denominators[picks[i]]
    }
    return sum / count
  }, options)
}

/**
 * The mean of `after[i] - before[i]`: how much a setting changed texts that share prompt and seed.
 *
 * @throws {GenArmError} Reason `InvalidOption` when there is none, one is NaN, or the lengths differ.
 *
 * @example
 * ```ts
 * import { pairedDifference } from "genarm/evaluate"
 * import { assertEquals } from "@std/assert"
 *
 * // Each rose by exactly one, however far apart they are.
 * assertEquals(pairedDifference([11, 101, 1001], [10, 100, 1000]), { value: 1, low: 1, high: 1 })
 * ```
 */
export function pairedDifference(
  after: readonly number[],
  before: readonly number[],
  options: EstimateOptions = {},
): Estimate {
  checkPaired(after, before)
  return meanEstimate(after.map((value, i) => value - before[i]), options)
}

/** The value below which a share of sorted values lies, by linear interpolation. */
function quantile(sorted: Float64Array, share: number): number {
  const at = share * (sorted.length - 1)
  const low = sorted[Math.floor(at)]
  const high = sorted[Math.ceil(at)]
  // Between two infinities there is nothing to interpolate.
  return low === high ? low : low + (at - Math.floor(at)) * (high - low)
}

/** Refuses NaN, which would silently become the answer. */
export function checkNumbers(name: string, values: readonly number[]): void {
  const index = values.findIndex((value) => typeof value !== "number" || Number.isNaN(value))
  if (index < 0) return
  throw new GenArmError(
    { _tag: "InvalidOption", path: [name, index] },
    `expected numbers to estimate from, found ${printValue(values[index])} at ${name}[${index}]`,
  )
}

/** Refuses lists of which one is longer. */
export function checkPaired(one: readonly unknown[], other: readonly unknown[]): void {
  if (one.length === other.length) return
  throw new GenArmError(
    { _tag: "InvalidOption", path: [] },
    `expected two lists with one value for each text, found ${one.length} and ${other.length}: ` +
      "pair texts by their prompt and seed",
  )
}
