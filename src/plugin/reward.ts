/** Rewards: what is added to the base model's log-probabilities, token by token. */
import type { Effect, Schema } from "effect"
import { type NoOptions, type PluginDefinition, type PluginFactory, pluginFactory } from "./node.ts"

/**
 * A model run that a reward needs. Equal sources (and a source equal to the base) are one row of
 * the engine, however many rewards ask for it.
 */
export interface RewardSource {
  /** A model as in a graph; the base model where absent, with its adapter unless another is named. */
  readonly model?: string
  /** A branch, tag or commit of a hub model. */
  readonly revision?: string
  /** How its weights are held; as the base's where it is the same model. */
  readonly weights?: "f32" | "q8" | "q4"
  /** A low-rank adapter to run on the model, as a folder or a name of the hub. */
  readonly adapter?: string
  /** How the prompt is put to this source; the term's template where absent. */
  readonly template?: string
  /** Text before the prompt; before a conversation it becomes part of the system message. */
  readonly prefix?: string
}

/** What a reward learns about a sequence when it is opened. */
export interface SequenceInfo {
  /** Ids that can be scored: those shared by the base and all of the reward's sources. */
  readonly vocabularySize: number
  /** The base model's prompt. */
  readonly promptIds: readonly number[]
  /** Ids that end a text, as the base model names them; none where it names none. */
  readonly eos: readonly number[]
  /** The name of an id, as the base's tokenizer spells it. */
  readonly token: (id: number) => string | undefined
  /** The text of ids. */
  readonly decode: (ids: readonly number[]) => string
  /** The ids of a text that goes on from another: no BOS, no template. */
  readonly encode: (text: string) => readonly number[]
}

/** The likeliest tokens of a step, for rewards that look at a few. */
export interface Candidates {
  /** Ids, the likeliest by base and row rewards first. */
  readonly ids: readonly number[]
  /** The text that was written with each of them added, without the prompt. */
  readonly texts: readonly string[]
  /** The ids that were written before them, without the prompt. */
  readonly written: readonly number[]
}

/**
 * A model that a reward reads texts with by itself: a value head, or a model with another tokenizer than
 * the base's. What it has read of a beginning is kept, so that reading on costs only what is new.
 *
 * What it has in common with `SequenceInfo` is in ids of its own: `promptIds` is the prompt as this model
 * reads it, `vocabularySize` counts all ids that it has.
 */
export interface TextModel extends SequenceInfo {
  /** Entries of a row: its vocabulary, or the labels of a model with a value head. */
  readonly width: number
  /** The names of the labels of a model with a value head; absent for a language model. */
  readonly labels?: readonly string[]
  /** Tokens that a text may have, prompt included. */
  readonly contextLength: number
  /**
   * Reads texts in one batch.
   *
   * @param texts Ids from the prompt's first on, all with the same `from` ids at their beginning.
   * @param from Ids of the beginning that all share, 1 at least.
   * @returns For each text a row `[width]` after its first `from` ids, one after the next, and so on to
   * its end: natural-log probabilities of the next token, or the values of the labels; read only.
   */
  readonly read: (
    texts: readonly (readonly number[])[],
    from: number,
  ) => Promise<readonly (readonly Float32Array[])[]>
}

/** What has been written, for rewards of whole texts. */
export interface WrittenTokens {
  /** Without the prompt. */
  readonly ids: readonly number[]
  /** The same as text. */
  readonly text: string
}

/**
 * What a plugin may give at once, promise, or describe as an effect. Effects run with the services that
 * the pipeline was opened with, and are interrupted when their text ends.
 */
// deno-lint-ignore no-explicit-any -- the services are the program's; one that is missing fails the text
export type Promised<A> = A | Promise<A> | Effect.Effect<A, unknown, any>

/**
 * A reward at work on one sequence; all state lives here. It is of one of three grains: `score` scores
 * every id, `scoreCandidates` the likeliest ones, and `scoreText` alone what has been written, for
 * strategies that choose among texts. `scoreText` may stand beside the others, which otherwise add up
 * over the tokens of a text.
 */
export interface RewardState<Source extends string = string> {
  /**
   * Scores every id as the next token.
   *
   * @param rows For each source natural-log probabilities `[vocabularySize]`; read only.
   * @param out `[vocabularySize]`, to be filled in whole; `-Infinity` rules an id out.
   */
  score?(rows: Readonly<Record<Source, Float32Array>>, out: Float32Array): void
  /** How many of the likeliest ids `scoreCandidates` looks at; all others are ruled out. */
  readonly candidates?: number
  /** Scores candidates for the next token, all in one call: a number for each, `-Infinity` rules out. */
  scoreCandidates?(candidates: Candidates): Promised<ArrayLike<number>>
  /** Milliseconds within which its promises and effects settle, or the text fails; 60,000 where absent. */
  readonly timeLimit?: number
  /** The reward of a whole text, or of its beginning so far. */
  scoreText?(written: WrittenTokens): Promised<number>
  /** Hears of the token that was chosen. */
  accept?(id: number): void
  /** A state for a copy of the sequence, which has `models` of its own; the two go on separately. */
  fork?(models: Readonly<Record<string, TextModel>>): RewardState<Source>
  /** Forgets the last `count` accepted tokens. */
  rewind?(count: number): void
  /** The sequence has ended. */
  close?(): void
}

/** A reward plugin. */
export interface RewardDefinition<
  Options = unknown,
  Source extends string = string,
  Model extends string = string,
> extends PluginDefinition<"reward", Options> {
  /** The model runs it needs, by name; none where absent. */
  readonly sources?: (options: Options) => Readonly<Record<Source, RewardSource>>
  /** Models that it reads texts with by itself, by name; none where absent. */
  readonly models?: (options: Options) => Readonly<Record<Model, RewardSource>>
  /** Begins a sequence. */
  readonly open: (
    options: Options,
    sequence: SequenceInfo,
    models: Readonly<Record<Model, TextModel>>,
  ) => RewardState<Source>
}

/** A reward plugin with options: call it for a node of a graph. */
export type RewardPlugin<Input = NoOptions> = PluginFactory<
  "reward",
  Input,
  RewardDefinition
>

/**
 * Defines a reward. As a rule it never runs a model itself: it declares the model runs it needs as
 * `sources`, and combines the rows that the decoder has already batched. One whose model has another
 * tokenizer than the base, or gives values instead of probabilities, declares it among `models`, and
 * reads candidates with it.
 *
 * @param plugin The definition, as an object literal.
 * @returns A function from options to a node of a graph.
 *
 * @example
 * ```ts
 * import { defineReward } from "genarm/plugin"
 * import { defineGraph } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const noDigits = defineReward({
 *   name: "noDigits",
 *   open: (_, sequence) => ({
 *     score(_, out) {
 *       for (let id = 0; id < out.length; id++) out[id] = /\d/.test(sequence.token(id) ?? "") ? -1 : 0
 *     },
 *   }),
 * })
 * const graph = defineGraph({ base: "./model", rewards: { noDigits: { reward: noDigits(), weight: 2 } } })
 * assertEquals(String(graph), "base + 2.0*noDigits")
 * ```
 */
export function defineReward<
  Source extends string = never,
  Options = NoOptions,
  Input = NoOptions,
  Model extends string = never,
>(
  plugin:
    & Omit<RewardDefinition<Options, Source, Model>, "options" | "kind">
    & { readonly options?: Schema.Codec<Options, Input> },
): RewardPlugin<Input> {
  return pluginFactory<"reward", never, RewardDefinition>("reward", plugin as never) as never
}
