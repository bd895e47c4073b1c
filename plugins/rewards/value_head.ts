/** @module A reward model with a value head, asked about unfinished texts. */
import { Schema } from "effect"
import {
  defineReward,
  type RewardPlugin,
  type RewardState,
  type SequenceInfo,
  type TextModel,
} from "genarm/plugin"
import { labelValue } from "./_label_value.ts"
import { type Respelling, respelling, spelledCandidates } from "./_respelling.ts"
import { sideFields } from "./_sides.ts"
import { count, textRewardFields } from "./_text_scores.ts"

/** Options of `valueHead`. */
export interface ValueHeadOptions {
  /** The folder or hub name of the reward model: Llama family, `...ForSequenceClassification`. */
  readonly model: string
  /** A branch, tag or commit of a hub model. */
  readonly revision?: string
  /** How its weights are held; the head is float32 always. */
  readonly weights?: "f32" | "q8" | "q4"
  /** A low-rank adapter (PEFT) on its layers. */
  readonly adapter?: string
  /** How the prompt is put to it, `"chat"` for most reward models; the term's where absent. */
  readonly template?: string
  /** Text before the prompt. */
  readonly prefix?: string
  /** The label whose value counts, by name or from 0; needed where there are several. */
  readonly label?: string | number
  /**
   * What counts of the value `V`. `"value"`, the default: `V` as it is. `"rad"`: clamped to 0 to 1.
   * `"fudge"`: the log-probability of the label, among all of them or, of a single one, against none.
   */
  readonly form?: "value" | "rad" | "fudge"
  /** Whether the value of the text before is subtracted, so that the tokens' rewards sum to the text's. */
  readonly difference?: boolean
  /** How many of the likeliest tokens are scored, 20 where absent; all others are ruled out. */
  readonly candidates?: number
  /** Milliseconds within which a step's values must be there; 60,000 where absent. */
  readonly timeLimit?: number
}

const { timeLimit } = textRewardFields

/**
 * A reward model as they are published: a language model's layers, and a head that gives a text a value
 * in the place of one that gives tokens probabilities. It is asked about the prompt and the text so far
 * with each of the likeliest tokens added; the next token is chosen by
 *
 * `log pi_base(v) + w * V(x, y, v)`
 *
 * - value-guided decoding with a prefix scorer (CD-FUDGE of controlled decoding,
 *   https://arxiv.org/abs/2310.17022), where `w` is its lambda and `V` was trained on unfinished texts,
 * - `"rad"`: RAD (https://arxiv.org/abs/2310.09520), as in `trajectory`: `min(max(V, 0), 1)`; its reward
 *   model is such a one, and its code's weight 30,
 * - `"fudge"`: FUDGE (https://arxiv.org/abs/2104.05218), as in `classifier`: `log P(label | x, y, v)`,
 * - a reward model trained on whole texts alone, as ARGS has it (https://arxiv.org/abs/2402.01694).
 *
 * `difference` takes `V(x, y, v) - V(x, y)` instead: the potential-based form. Within a step that is a
 * constant, and changes no choice; over a text the rewards sum to `V(x, y) - V(x)`, as those of `arm` do to
 * its reward, so that traces, schedules and strategies see what each token adds.
 *
 * What has been written is read once, and the candidates go on from there in one batch: a step costs that
 * many rows of the model. One with another tokenizer than the base's is given their text in its own ids,
 * word by word; tokens without text are ruled out, but for those that end the text.
 *
 * @throws {GenArmError} When a text begins, `PluginFailed`: for a language model, and for a label that the
 * model does not have.
 *
 * @example
 * ```ts
 * import { defineGraph, openPipeline, tableRuntime, valueHead } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const vocabulary = ["a", "b", "c"]
 * const runtime = tableRuntime({
 *   base: { vocabulary, next: () => [3, 2, 1] },
 *   // Likes a text the better, the more different letters it has.
 *   judge: { vocabulary, values: (ids) => [new Set(ids).size] },
 * })
 * const graph = defineGraph({
 *   base: "base",
 *   rewards: { variety: { reward: valueHead({ model: "judge" }), weight: 100 } },
 * })
 * await using pipeline = await openPipeline(graph, { runtime })
 * const { text } = await pipeline.generate("a", { maxTokens: 2 })
 * assertEquals([...text].sort(), ["b", "c"])
 * ```
 */
export const valueHead: RewardPlugin<ValueHeadOptions> = defineReward({
  name: "valueHead",
  options: Schema.Struct({
    ...sideFields,
    model: Schema.NonEmptyString,
    label: Schema.optionalKey(
      Schema.Union([
        Schema.NonEmptyString,
        Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)),
      ]),
    ),
    form: Schema.optionalKey(Schema.Literals(["value", "rad", "fudge"])),
    difference: Schema.optionalKey(Schema.Boolean),
    candidates: Schema.optionalKey(count),
    timeLimit,
  }),
  models: (options) => ({ value: options }),
  open(options, sequence, { value }) {
    const valueOf = labelValue(options, value)
    return openState({ options, sequence, spelling: spellingOf(sequence, value), valueOf }, value)
  },
})

/** What a state and its forks have in common. */
interface Parts {
  readonly options: ValueHeadOptions
  readonly sequence: SequenceInfo
  readonly spelling: Respelling
  readonly valueOf: (row: Float32Array) => number
}

function openState(parts: Parts, model: TextModel): RewardState {
  const { options: { difference = false, candidates = 20, timeLimit }, sequence } = parts
  const { spelling, valueOf } = parts
  const { promptIds } = model
  /** The values of texts, all of which begin with the first `shared` ids of the first one. */
  const valuesOf = async (texts: readonly (readonly number[])[], shared: number) => {
    const whole = texts.map((text) => [...promptIds, ...text])
    const rows = await model.read(whole, promptIds.length + shared)
    return rows.map((ofText) => valueOf(ofText[ofText.length - 1]))
  }
  let ofPrompt: Promise<number> | undefined
  return {
    candidates,
    ...timeLimit !== undefined && { timeLimit },
    async scoreCandidates(asked) {
      const { texts, shared, scores } = spelledCandidates(spelling, asked)
      const [before, ...after] = await valuesOf(texts, shared)
      return scores(after, difference ? before : 0)
    },
    async scoreText({ ids }) {
      const last = ids[ids.length - 1]
      const ended = sequence.eos.includes(last)
        ? spelling.candidate(ids.slice(0, -1), last)
        : undefined
      const text = ended ?? spelling.written(ids)
      const [value] = await valuesOf([text], text.length)
      if (!difference) return value
      ofPrompt ??= valuesOf([[]], 0).then(([value]) => value)
      return value - await ofPrompt
    },
    fork: (models) => openState(parts, models.value),
  }
}

/** The ids of the base, where they mean the same to the model; its own for the same text otherwise. */
function spellingOf(sequence: SequenceInfo, model: TextModel): Respelling {
  if (readsIds(sequence, model)) {
    return { written: (ids) => ids, candidate: (written, id) => [...written, id] }
  }
  const { written, candidate } = respelling(sequence, model)
  return {
    written,
    // A model that names no end token reads an ended text as it is.
    candidate: (before, id) =>
      candidate(before, id) ?? (sequence.eos.includes(id) ? written(before) : undefined),
  }
}

function readsIds({ vocabularySize, token }: SequenceInfo, model: TextModel): boolean {
  for (let id = 0; id < vocabularySize; id++) {
    const name = token(id)
    if (name !== undefined && name !== model.token(id)) return false
  }
  return true
}
