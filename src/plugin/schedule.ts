/** Schedules: how the weight of a reward changes while a text is written. */
import type { Schema } from "effect"
import { type NoOptions, type PluginDefinition, type PluginFactory, pluginFactory } from "./node.ts"
import type { SequenceInfo } from "./reward.ts"

/**
 * The step a weight is asked for. A schedule sees the base and its own reward; of other rewards it
 * knows nothing.
 */
export interface ScheduleStep {
  /** Tokens written so far: 0 for the first. */
  readonly position: number
  /** Tokens that may be written in all. */
  readonly maxTokens: number
  /** The token before: the last one written, and at the first the prompt's last; none without any. */
  readonly lastId: number | undefined
  /** `[vocabulary of the base]`: its natural-log probabilities; read only, of this step. */
  readonly base: Float32Array
  /**
   * `[vocabularySize]`: what the reward gives each id, before any weight; `-Infinity` for what it
   * rules out. Ids from here on are ruled out too. Read only, of this step.
   */
  readonly scores: Float32Array
}

/** A schedule at work on one sequence. */
export interface ScheduleState {
  /** The weight at a step; must be finite. */
  weight(step: ScheduleStep): number
  /** Hears of the token that was chosen. */
  accept?(id: number): void
  /** A state for a copy of the sequence; the two go on separately. One without `accept` needs none. */
  fork?(): ScheduleState
  /** Forgets the last `count` accepted tokens. One without `accept` needs none. */
  rewind?(count: number): void
}

/** A schedule plugin. */
export interface ScheduleDefinition<Options = unknown>
  extends PluginDefinition<"schedule", Options> {
  /** Begins a sequence. */
  readonly open: (options: Options, sequence: SequenceInfo) => ScheduleState
}

/** A schedule plugin: call it with options for the `weight` of a term. */
export type SchedulePlugin<Input = NoOptions> = PluginFactory<
  "schedule",
  Input,
  ScheduleDefinition
>

/**
 * Defines a schedule.
 *
 * @param plugin The definition, as an object literal.
 * @returns A function from options to a node that stands as a `weight`.
 *
 * @example
 * ```ts
 * import { defineSchedule } from "genarm/plugin"
 * import { assertEquals } from "@std/assert"
 *
 * const everyOther = defineSchedule({
 *   name: "everyOther",
 *   open: () => ({ weight: ({ position }) => position % 2 }),
 * })
 * assertEquals(everyOther().plugin, "everyOther")
 * ```
 */
export function defineSchedule<Options = NoOptions, Input = NoOptions>(
  plugin:
    & Omit<ScheduleDefinition<Options>, "options" | "kind">
    & { readonly options?: Schema.Codec<Options, Input> },
): SchedulePlugin<Input> {
  return pluginFactory<"schedule", never, ScheduleDefinition>("schedule", plugin as never) as never
}
