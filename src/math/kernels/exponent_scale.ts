import { LOG2_E } from "./constants.ts"

const LEAST_NORMAL = 2 ** -126
const GREATEST = (2 - 2 ** -23) * 2 ** 127

/**
 * What a distance in nats is multiplied with for a power of 2 at a temperature: a float32, neither 0
 * nor Infinity, since 0 * Infinity is NaN and a temperature may be any float64 above 0.
 */
export function exponentScale(temperature: number): number {
  return Math.fround(Math.min(Math.max(LOG2_E / temperature, LEAST_NORMAL), GREATEST))
}
