/** Numbers and lengths as a JSON Schema bounds them. */
import { decimalsWithin, integersWithin } from "./_decimal_ranges.ts"
import type { Expression } from "./_expression.ts"
import { boundsOf, type JsonObject, lengthsOf, type Path, problem } from "./_json_keywords.ts"
import { integer, nothing, number } from "./_json_values.ts"

/** A schema with bounds. */
export interface Ranged {
  readonly schema: JsonObject
  readonly path: Path
  /** Made of several: bounds that leave nothing are then no mistake. */
  readonly isMerged: boolean
}

/** The numbers that a schema allows; without an exponent where it bounds them. */
export function readNumber(
  type: "integer" | "number",
  { schema, path, isMerged }: Ranged,
): Expression {
  const bounds = boundsOf(schema, path)
  if (bounds === undefined) return type === "integer" ? integer : number
  const { exclusiveMinimum: above, exclusiveMaximum: below } = bounds
  const least = Math.max(bounds.minimum, above)
  if (least > Math.min(bounds.maximum, below)) {
    if (isMerged) return nothing
    const most = bounds.maximum <= below ? "maximum" : "exclusiveMaximum"
    throw problem([...path, most], `expected at least the minimum, ${least}`, schema[most])
  }
  const isInteger = type === "integer"
  const next = (value: number) => isInteger ? Math.floor(value) + 1 : nextUp(value)
  return (isInteger ? integersWithin : decimalsWithin)({
    minimum: Math.max(bounds.minimum, next(above)),
    maximum: Math.min(bounds.maximum, -next(-below)),
  })
}

/** The lengths that a schema allows; none where it allows none. */
export function lengthsWithin(
  { schema, path, isMerged }: Ranged,
  least: string,
  most: string,
): [min: number, max: number] | undefined {
  const [min, max] = lengthsOf(schema, path, least, most)
  if (min <= max) return [min, max]
  if (isMerged) return undefined
  throw problem([...path, most], `expected at least ${least}, ${min}`, max)
}

/** The least double above a number, so that no text above that one is read as the number itself. */
function nextUp(value: number): number {
  if (value === 0) return Number.MIN_VALUE
  if (!Number.isFinite(value)) return value
  const double = new Float64Array([value])
  const bits = new BigInt64Array(double.buffer)
  bits[0] += value > 0 ? 1n : -1n
  return double[0]
}
