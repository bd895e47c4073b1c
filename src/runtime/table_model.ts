/** What can be written down of a model: a vocabulary, and what the model gives after any ids. */
import { nonFinite } from "../engine/engine.ts"
import { GenArmError, messageOf } from "../errors.ts"

/** A model written down. */
export interface TableModel {
  /**
   * The text of each id. `<0x41>` stands for one byte, `<name>` for a special token without text.
   */
  readonly vocabulary: readonly string[]
  /** The probabilities of the next token, `[vocabulary]`, after `ids`; they are normalised. */
  readonly next: (ids: readonly number[]) => ArrayLike<number>
  /** The id with which every text prompt begins; none where absent. */
  readonly bos?: number
  /** Ids that end a text; none where absent. */
  readonly eos?: readonly number[]
  /** Tokens of context, 1024 where absent. */
  readonly contextLength?: number
  /** Ids beyond the vocabulary, which no tokenizer names; 0 where absent. */
  readonly padding?: number
}

/** A model with a value head, written down: it scores texts and writes none. */
export interface TableValueModel extends Omit<TableModel, "next"> {
  /** The value of each label after `ids`. */
  readonly values: (ids: readonly number[]) => ArrayLike<number>
  /** The names of the labels; one, `LABEL_0`, where absent. */
  readonly labels?: readonly string[]
}

/** What a written-down model gives values of; `undefined` for a language model. */
export function labelsOf(table: TableModel | TableValueModel): readonly string[] | undefined {
  return "values" in table ? table.labels ?? ["LABEL_0"] : undefined
}

/** Writes what a model gives after `ids`, or says why there is nothing; `name` names it in errors. */
export function writeRow(
  name: string,
  table: TableModel | TableValueModel,
  ids: readonly number[],
  out: Float32Array,
): GenArmError | undefined {
  const failed = (what: string, cause?: unknown) =>
    new GenArmError(
      { _tag: "EngineFailed", engine: name },
      `the rule of the table model "${name}" ${what}`,
      { cause },
    )
  try {
    if (!("values" in table)) {
      writeLogProbs(table.next(ids), out)
      return out.some(Number.isNaN) ? nonFinite(name) : undefined
    }
    const values = table.values(ids)
    if (values.length !== out.length) {
      return failed(`gave ${values.length} values: expected one for each label, ${out.length}`)
    }
    out.set(values)
    const value = out.find((value) => !Number.isFinite(value))
    return value === undefined ? undefined : nonFinite(name, undefined, `${value} as a value`)
  } catch (error) {
    return failed(`failed: ${messageOf(error)}`, error)
  }
}

/** Normalises probabilities and writes their logarithms; rows beyond them are impossible. */
function writeLogProbs(probabilities: ArrayLike<number>, out: Float32Array): void {
  let sum = 0
  for (let id = 0; id < probabilities.length; id++) sum += probabilities[id]
  for (let id = 0; id < out.length; id++) {
    out[id] = id < probabilities.length ? Math.log(probabilities[id] / sum) : -Infinity
  }
}
