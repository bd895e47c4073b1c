/**
 * Functions of text at work as rewards: asked about each text once, and all texts of a step together.
 * What `scorer`, `classifier` and `trajectory` share.
 */
import { Schema } from "effect"
import { GenArmError, type RewardState, type SequenceInfo } from "genarm/plugin"

/** A number for a text, at once or later. */
export type ScoreText = (text: string) => number | Promise<number>

/** A number for each text, in their order, at once or later. */
export type ScoreTexts = (
  texts: readonly string[],
) => ArrayLike<number> | Promise<ArrayLike<number>>

/** A function of one text, or of many at once. */
export type TextFunction =
  | {
    /** Scores a text; the texts of a step are scored side by side. */
    readonly score: ScoreText
    readonly batch?: never
  }
  | {
    readonly score?: never
    /** Scores the texts of a step in one call: a number for each, in their order. */
    readonly batch: ScoreTexts
  }

/** Options that all rewards of texts have. */
export interface TextRewardOptions {
  /** Whether the texts begin with the prompt, as the base reads it, special tokens left out. */
  readonly withPrompt?: boolean
  /** Milliseconds within which a step's scores must be there; 60,000 where absent. */
  readonly timeLimit?: number
}

/** A function, which no file can hold. */
export const functionSchema = <F>(): Schema.Codec<F, F> =>
  Schema.Unknown.check(
    Schema.makeFilter((value) => typeof value === "function" || "Expected a function"),
  ) as unknown as Schema.Codec<F, F>

/** The schema of a number of candidates. */
export const count = Schema.Int.check(Schema.isGreaterThan(0))

/** The fields of `TextRewardOptions`. */
export const textRewardFields = {
  withPrompt: Schema.optionalKey(Schema.Boolean),
  timeLimit: Schema.optionalKey(Schema.Finite.check(Schema.isGreaterThan(0))),
}

/** The fields of `TextFunction`, of which `isOneFunction` lets one be there. */
export const textFunctionFields = {
  score: Schema.optionalKey(functionSchema<ScoreText>()),
  batch: Schema.optionalKey(functionSchema<ScoreTexts>()),
}

/** Says what is wrong unless there is one function. */
export function isOneFunction(
  { score, batch }: { readonly score?: unknown; readonly batch?: unknown },
): true | { readonly path: readonly string[]; readonly issue: string } {
  if (score === undefined && batch === undefined) {
    return { path: ["score"], issue: "Expected a function, score or batch" }
  }
  return score === undefined || batch === undefined ||
    { path: ["batch"], issue: "Expected score or batch, not both" }
}

/** The function of many texts that a function of one is. */
export function inBatches({ score, batch }: TextFunction): ScoreTexts {
  // `async`, so that one that throws beside others that have promised leaves none of those alone.
  return batch ?? ((texts) => Promise.all(texts.map(async (text) => await score(text))))
}

/** Texts whose scores are kept: those of many steps, which a strategy may come back to. */
const mostKept = 1024

/** The scores of texts, each asked for once. */
class KnownScores {
  readonly #plugin: string
  readonly #ask: ScoreTexts
  readonly #known = new Map<string, number>()

  constructor(plugin: string, ask: ScoreTexts) {
    this.#plugin = plugin
    this.#ask = ask
  }

  /** A score for each of the texts. */
  async of(texts: readonly string[]): Promise<number[]> {
    const scores = new Map<string, number>()
    for (const text of texts) {
      const score = this.#known.get(text)
      if (score !== undefined) scores.set(text, score)
    }
    // Tokens without text of their own give several candidates the same one.
    const unknown = [...new Set(texts)].filter((text) => !scores.has(text))
    if (unknown.length > 0) {
      const given = await this.#ask(unknown)
      this.#check(given, unknown.length)
      unknown.forEach((text, i) => {
        scores.set(text, given[i])
        this.#known.set(text, given[i])
      })
      for (const text of this.#known.keys()) {
        if (this.#known.size <= mostKept) break
        this.#known.delete(text)
      }
    }
    return texts.map((text) => scores.get(text)!)
  }

  #check(given: ArrayLike<number> | undefined, expected: number): void {
    const refuse = (what: string) =>
      new GenArmError(
        { _tag: "PluginFailed", plugin: this.#plugin },
        `the function of "${this.#plugin}" gave ${what} for ${expected} texts: expected a number ` +
          "for each, in their order",
      )
    if (given?.length !== expected) throw refuse(`${given?.length ?? "no"} scores`)
    for (let i = 0; i < expected; i++) {
      if (typeof given[i] !== "number") throw refuse(`a score of type ${typeof given[i]}`)
    }
  }
}

/** What a reward of texts is opened with. */
export interface TextReward {
  /** Its name, for errors. */
  readonly plugin: string
  readonly ask: ScoreTexts
  /** Whole texts alone are scored where it is absent. */
  readonly candidates?: number
  readonly options: TextRewardOptions
}

/** Opens a reward that is the score of a text: of each beginning, and of the whole. */
export function openTextReward(
  { plugin, ask, candidates, options: { withPrompt = false, timeLimit } }: TextReward,
  sequence: SequenceInfo,
): RewardState {
  const known = new KnownScores(plugin, ask)
  const before = withPrompt ? sequence.decode(sequence.promptIds) : ""
  const state: RewardState = {
    ...timeLimit !== undefined && { timeLimit },
    ...candidates !== undefined && {
      candidates,
      scoreCandidates: ({ texts }) => known.of(texts.map((text) => before + text)),
    },
    scoreText: async ({ text }) => (await known.of([before + text]))[0],
    // It keeps nothing of its sequence but scores, which are the same in a copy.
    fork: () => state,
  }
  return state
}
