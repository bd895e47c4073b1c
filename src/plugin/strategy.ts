/**
 * Strategies: how a text is put together. A sampler chooses one token; a strategy drives whole
 * sequences through steps, forks and rewinds, and may look ahead.
 */
import type { Schema } from "effect"
import { type NoOptions, type PluginDefinition, type PluginFactory, pluginFactory } from "./node.ts"
import type { RewardSource } from "./reward.ts"
import type { Uniforms } from "./sampler.ts"

/** A model as it reads a sequence. */
export interface SequenceModel {
  /** Tokens that may still be written before its own context is full; it can preview one less. */
  readonly room: number
  /**
   * What running it over one token costs, as a share of a step of the guided text: an estimate from the
   * models' sizes, the same at every run. Absent where nothing is known.
   */
  readonly cost: number | undefined
  /**
   * Its natural-log probabilities after the sequence and the first `ahead` tokens of a preview, as
   * `[vocabulary]` of the base: `-Infinity` for ids that it does not have.
   *
   * @param ahead As many tokens as the model has read ahead, at most.
   * @param out `[vocabulary]`, filled in whole.
   */
  logProbs(ahead: number, out: Float32Array): void
}

/** Which models take part in a preview: those that guidance needs, where neither is given. */
export interface PreviewModels {
  /** This one alone. */
  readonly only?: SequenceModel
  /** Those that guidance needs, without this one. */
  readonly except?: SequenceModel
}

/** A guided text under way. */
export interface GuidedSequence<Source extends string = string> {
  /** Entries of a distribution: the base's vocabulary. */
  readonly vocabularySize: number
  /** The base model's prompt. */
  readonly promptIds: readonly number[]
  /** The tokens written. */
  readonly ids: readonly number[]
  /** What has ended it: an end token, the limit of tokens, a stop string; it takes no more then. */
  readonly ended: "eos" | "length" | "stop" | undefined
  /** Tokens that may still be written. */
  readonly room: number
  /** The base model. */
  readonly base: SequenceModel
  /** The strategy's own `sources`; one that is equal to a reward's is the same model. */
  readonly models: Readonly<Record<Source, SequenceModel>>
  /** Random numbers of this sequence, fixed by the request's seed. */
  readonly random: Uniforms

  /**
   * Brings the models to the end of the sequence and mixes the guided scores of the next token,
   * `[vocabulary]`, natural log, not normalised; overwritten by the next evaluation.
   */
  evaluate(): Promise<Float32Array>
  /** 1 + the sum of the weights of the last `evaluate`. */
  readonly weightSum: number
  /**
   * Writes the probabilities with which the graph's sampler would choose from scores: those of
   * `evaluate`, or of a draft. Fails with `PluginFailed` for a sampler that does not tell them.
   */
  probabilities(scores: Float32Array, out: Float32Array): void
  /** Evaluates, lets the sampler choose a token, and appends it. */
  step(): Promise<number>
  /**
   * Appends a token that the strategy has chosen; after `evaluate`.
   *
   * @param logProbability With which it was chosen, natural log: 0 for a certain choice.
   */
  accept(id: number, logProbability: number): void
  /**
   * Runs models over tokens that may follow, so that evaluating them costs nothing more once they are
   * accepted. A wrong guess costs its computation and changes nothing. At most `room - 1` tokens.
   */
  preview(ids: readonly number[], models?: PreviewModels): Promise<void>
  /**
   * Each reward of the tokens written, by its name in the graph, before its weight: what it gave the
   * tokens in total, for an ARM `sum_t log pi_r`, or what it gives the text, where it judges texts.
   */
  rewards(): Promise<Readonly<Record<string, number>>>
  /** The weights of the rewards, at the last `evaluate`. */
  readonly weights: Readonly<Record<string, number>>
  /** A second sequence with the same tokens and random numbers of its own; close it when done. */
  fork(): GuidedSequence<Source>
  /** Forgets the last `count` tokens. */
  rewind(count: number): void
  /** Frees the caches. Idempotent; the request closes what is left open. */
  close(): void
}

/** A strategy plugin. */
export interface StrategyDefinition<Options = unknown, Source extends string = string>
  extends PluginDefinition<"strategy", Options> {
  /** Models of its own, by name, beside those of base and rewards; none where absent. */
  readonly sources?: (options: Options) => Readonly<Record<Source, RewardSource>>
  /**
   * The rewards of the graph that it goes by, as names by option: `({ by }) => ({ by })`. A graph without
   * such a reward is refused; an option that names none stands for all rewards, and asks for one at
   * least. Absent where it goes by none.
   */
  readonly rewards?: (options: Options) => Readonly<Record<string, string | undefined>>
  /**
   * Writes a text. Each yield says that the tokens of that sequence are final, and the sequences
   * yielded must go on from each other; it is called again when the next token is asked for, and
   * returns when the sequence has ended.
   */
  readonly run: (
    options: Options,
    sequence: GuidedSequence<Source>,
  ) => AsyncIterable<GuidedSequence<Source>>
}

/** A strategy plugin: call it with options for the `strategy` of a graph. */
export type StrategyPlugin<Input = NoOptions> = PluginFactory<"strategy", Input, StrategyDefinition>

/**
 * Defines a strategy.
 *
 * @param plugin The definition, as an object literal.
 * @returns A function from options to a node that stands as the `strategy` of a graph.
 *
 * @example
 * ```ts
 * import { defineStrategy } from "genarm/plugin"
 * import { assertEquals } from "@std/assert"
 *
 * const better = defineStrategy({
 *   name: "better",
 *   // Of two texts the one whose first token is the likelier.
 *   async *run(_, sequence) {
 *     const other = sequence.fork()
 *     const scores = await sequence.evaluate()
 *     const [a, b] = [await sequence.step(), await other.step()]
 *     const best = scores[a] >= scores[b] ? sequence : other
 *     while (best.ended === undefined) await best.step()
 *     yield best
 *   },
 * })
 * assertEquals(better().plugin, "better")
 * ```
 */
export function defineStrategy<
  Source extends string = never,
  Options = NoOptions,
  Input = NoOptions,
>(
  plugin:
    & Omit<StrategyDefinition<Options, Source>, "options" | "kind">
    & { readonly options?: Schema.Codec<Options, Input> },
): StrategyPlugin<Input> {
  return pluginFactory<"strategy", never, StrategyDefinition>("strategy", plugin as never) as never
}
