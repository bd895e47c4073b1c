/** A reference to a model, as graphs and trainings take it. */
import { Schema } from "effect"

/** Checks a `ModelRef`; a template is checked where it is used. */
export const modelRefSchema: Schema.Codec<{
  readonly model: string
  readonly revision?: string
  readonly weights?: "f32" | "q8" | "q4"
  readonly adapter?: string
  readonly template?: string
}> = Schema.Struct({
  model: Schema.NonEmptyString,
  revision: Schema.optionalKey(Schema.NonEmptyString),
  weights: Schema.optionalKey(Schema.Literals(["f32", "q8", "q4"])),
  adapter: Schema.optionalKey(Schema.NonEmptyString),
  template: Schema.optionalKey(Schema.String),
})
