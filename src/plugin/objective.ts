/**
 * Training objectives: what a model is trained to do, as a loss over the log-probabilities of given
 * texts. The loss is written with differentiable operations (`genarm/onnx`) and becomes part of the
 * training graph, so that an objective of one's own runs as fast as the built-in ones.
 */
import type { Schema } from "effect"
import type { Tensor } from "../onnx/tape.ts"
import { type NoOptions, type PluginDefinition, type PluginFactory, pluginFactory } from "./node.ts"

/** Texts as the model sees them, `n` rows. */
export interface ObjectiveRows {
  /** `[n, tokens]`: natural log-probability of each scored token (its EOS included), 0 elsewhere. */
  readonly logProbs: Tensor
  /** `[n, 1]`: how many tokens are scored; 1 in a row without any, which only fills the batch up. */
  readonly counts: Tensor
}

/** Responses of which one side is preferred, with their likelihood under the model as it was. */
export interface PairRows extends ObjectiveRows {
  /** `[n, 1]`: log-probability of the response under the frozen reference, where asked for. */
  readonly reference?: Tensor
}

/** A batch for an objective on texts. */
export interface TextBatch extends ObjectiveRows {
  /** The mean over the scored tokens of a step, `[1, 1]`, of a value for each, `[n, tokens]`. */
  readonly mean: (perToken: Tensor) => Tensor
}

/** A batch for an objective on preference pairs; row `i` of both sides belongs to one pair. */
export interface PairBatch {
  /** The responses that were preferred. */
  readonly chosen: PairRows
  /** The others. */
  readonly rejected: PairRows
  /** The mean over the pairs of a step, `[1, 1]`, of a value for each, `[n, 1]`. */
  readonly mean: (perPair: Tensor) => Tensor
}

/** What an objective computes. */
export interface ObjectiveLoss {
  /** What is minimised: `[1, 1]`, a `mean` of the batch. */
  readonly loss: Tensor
  /** Further figures for the log, each `[1, 1]` and a `mean` of the batch. */
  readonly metrics?: Readonly<Record<string, Tensor>>
}

/** An objective on texts. */
export interface TextObjective<Options = unknown> extends PluginDefinition<"objective", Options> {
  /** What it is trained on. */
  readonly data: "texts"
  /** Writes the loss. */
  readonly loss: (options: Options, batch: TextBatch) => ObjectiveLoss
}

/** An objective on preference pairs. */
export interface PairObjective<Options = unknown> extends PluginDefinition<"objective", Options> {
  /** What it is trained on. */
  readonly data: "pairs"
  /** Whether it needs the log-probabilities of the model as it was before training. */
  readonly reference?: boolean
  /** Writes the loss. */
  readonly loss: (options: Options, batch: PairBatch) => ObjectiveLoss
}

/** A training objective. */
export type ObjectiveDefinition<Options = unknown> = TextObjective<Options> | PairObjective<Options>

/** An objective plugin: call it with options for the `objective` of a training. */
export type ObjectivePlugin<Input = NoOptions> = PluginFactory<
  "objective",
  Input,
  ObjectiveDefinition
>

/**
 * Defines a training objective.
 *
 * @param plugin The definition, as an object literal.
 * @returns A function from options to a node that stands as the `objective` of a training.
 *
 * @example
 * ```ts
 * import { defineObjective } from "genarm/plugin"
 * import { divide, scale, softplus, subtract, sum } from "genarm/onnx"
 * import { assertEquals } from "@std/assert"
 *
 * // Bradley-Terry on the mean log-probability of a token.
 * const perTokenPreference = defineObjective({
 *   name: "perTokenPreference",
 *   data: "pairs",
 *   loss: (_, { chosen, rejected, mean }) => {
 *     const of = (side: typeof chosen) => divide(sum(side.logProbs, [1]), side.counts)
 *     const margin = subtract(of(chosen), of(rejected))
 *     return { loss: mean(softplus(scale(margin, -0.1))), metrics: { margin: mean(margin) } }
 *   },
 * })
 * assertEquals(perTokenPreference().plugin, "perTokenPreference")
 * ```
 */
export function defineObjective<Options = NoOptions, Input = NoOptions>(
  plugin:
    & (
      | Omit<TextObjective<Options>, "options" | "kind">
      | Omit<PairObjective<Options>, "options" | "kind">
    )
    & { readonly options?: Schema.Codec<Options, Input> },
): ObjectivePlugin<Input> {
  return pluginFactory<"objective", never, ObjectiveDefinition>(
    "objective",
    plugin as never,
  ) as never
}
