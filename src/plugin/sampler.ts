/** Samplers: which token comes next, given the guided scores. */
import type { Schema } from "effect"
import { type NoOptions, type PluginDefinition, type PluginFactory, pluginFactory } from "./node.ts"

/** Uniform random numbers of one sequence. */
export interface Uniforms {
  /** The next number in `[0, 1)`. */
  nextUniform(): number
}

/** One step of sampling. */
export interface SamplerStep {
  /** `[vocabulary]`, natural log, not normalised; `-Infinity` for ids that must not be chosen. */
  readonly scores: Float32Array
  /** 1 + the sum of the weights in force. */
  readonly weightSum: number
  /** Random numbers fixed by the request's seed. */
  readonly random: Uniforms
}

/** A sampler at work on one sequence. */
export interface SamplerState {
  /** Chooses an id whose score is above `-Infinity`. */
  sample(step: SamplerStep): number
  /**
   * Writes the probabilities `[vocabulary]` with which `sample` would choose, and draws nothing.
   * Strategies that verify drafts or weigh sequences need it.
   */
  probabilities?(step: Omit<SamplerStep, "random">, out: Float32Array): void
  /**
   * The natural log of the probability with which the step's sampler chooses `id`: after
   * temperature and truncation, 0 for the choice of a greedy one. Asked after `sample`, or after
   * `probabilities`.
   */
  logProbability(id: number): number
  /** The log of the sum of exp(scores), where the last step found it on the way. */
  readonly logNormalizer?: number | undefined
  /** Hears of the token that was chosen, whoever chose it. */
  accept?(id: number): void
  /** A state for a copy of the sequence; the two go on separately. One without `accept` needs none. */
  fork?(): SamplerState
  /** Forgets the last `count` accepted tokens. One without `accept` needs none. */
  rewind?(count: number): void
}

/** What a sampler learns about a sequence when it is opened. */
export interface SamplerSequence {
  /** Entries of `scores`: the base's vocabulary. */
  readonly vocabularySize: number
  /** The base model's prompt. */
  readonly promptIds: readonly number[]
}

/** A sampler plugin. */
export interface SamplerDefinition<Options = unknown> extends PluginDefinition<"sampler", Options> {
  /** Begins a sequence. */
  readonly open: (options: Options, sequence: SamplerSequence) => SamplerState
}

/** A sampler plugin: call it with options for the `sampler` of a graph. */
export type SamplerPlugin<Input = NoOptions> = PluginFactory<
  "sampler",
  Input,
  SamplerDefinition
>

/**
 * Defines a sampler.
 *
 * @param plugin The definition, as an object literal.
 * @returns A function from options to a node that stands as the `sampler` of a graph.
 *
 * @example
 * ```ts
 * import { defineSampler } from "genarm/plugin"
 * import { argmax } from "genarm/math"
 * import { assertEquals } from "@std/assert"
 *
 * const best = defineSampler({
 *   name: "best",
 *   open: () => ({
 *     sample: ({ scores }) => argmax(scores),
 *     logProbability: () => 0,
 *   }),
 * })
 * assertEquals(best().plugin, "best")
 * ```
 */
export function defineSampler<Options = NoOptions, Input = NoOptions>(
  plugin:
    & Omit<SamplerDefinition<Options>, "options" | "kind">
    & { readonly options?: Schema.Codec<Options, Input> },
): SamplerPlugin<Input> {
  return pluginFactory<"sampler", never, SamplerDefinition>("sampler", plugin as never) as never
}
