/**
 * Two models against each other, `log pi_wanted - log pi_unwanted`: what contrasts and proxy tuning
 * share. What the one rules out, the difference does; what the other alone rules out gets a great but
 * finite score, since Infinity could not be mixed with other scores.
 */
import { Schema } from "effect"
import type { RewardSource } from "genarm/plugin"

/** One side of a difference: a model, an adapter on it, a context for it, or several of these. */
export type ContrastSide = RewardSource

/** The fields of a side, as options. */
export const sideFields = {
  model: Schema.optionalKey(Schema.NonEmptyString),
  revision: Schema.optionalKey(Schema.NonEmptyString),
  weights: Schema.optionalKey(Schema.Literals(["f32", "q8", "q4"])),
  adapter: Schema.optionalKey(Schema.NonEmptyString),
  template: Schema.optionalKey(Schema.NonEmptyString),
  prefix: Schema.optionalKey(Schema.NonEmptyString),
}

/** A side, or the name of its model. */
export const side: Schema.Codec<string | ContrastSide> = Schema.Union([
  Schema.NonEmptyString,
  Schema.Struct(sideFields),
])

/** The model run of a side. */
export const sourceOf = (value: string | ContrastSide): RewardSource =>
  typeof value === "string" ? { model: value } : value

/** What stands for log 0 on the unwanted side: e^-1000 is far below any float32. */
const floor = -1000

/**
 * The difference, id by id.
 *
 * @param least Log-probability below which the wanted side counts as ruling an id out.
 */
export function difference(
  wanted: Float32Array,
  unwanted: Float32Array,
  out: Float32Array,
  least = -Infinity,
): void {
  for (let id = 0; id < out.length; id++) {
    // -Infinity + Infinity would be NaN.
    out[id] = wanted[id] === -Infinity || wanted[id] < least
      ? -Infinity
      : wanted[id] - Math.max(unwanted[id], floor)
  }
}
