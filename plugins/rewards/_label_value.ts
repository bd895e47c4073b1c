/** What counts of a row that a value head gives: the value of one label, in one of three forms. */
import type { TextModel } from "genarm/plugin"

/** Reads it off a model's rows; fails for a language model, and for a label that it does not have. */
export function labelValue(
  { model, label, form = "value" }: {
    readonly model: string
    readonly label?: string | number
    readonly form?: "value" | "rad" | "fudge"
  },
  { labels }: TextModel,
): (row: Float32Array) => number {
  const index = labelIndex(model, label, labels)
  switch (form) {
    case "value":
      return (row) => row[index]
    case "rad":
      return (row) => Math.min(Math.max(row[index], 0), 1)
    case "fudge":
      // A single label's logit is that of a sigmoid.
      return (row) => -logSumExp(Array.from(row.length === 1 ? [0, row[0]] : row), row[index])
  }
}

/** `log sum exp(x - shift)`. */
function logSumExp(values: readonly number[], shift: number): number {
  const most = Math.max(...values)
  return most - shift + Math.log(values.reduce((sum, x) => sum + Math.exp(x - most), 0))
}

function labelIndex(
  model: string,
  label: string | number | undefined,
  labels: readonly string[] | undefined,
): number {
  if (labels === undefined) {
    throw new Error(
      `${model} is a language model: expected a reward model or classifier ` +
        "(...ForSequenceClassification); one that was trained on preferences as a language model is " +
        "arm({ model })",
    )
  }
  const names = labels.map((name, i) => `${i} "${name}"`).join(", ")
  if (label === undefined) {
    if (labels.length === 1) return 0
    throw new Error(
      `${model} has ${labels.length} labels: expected one of them, ${names}, as label`,
    )
  }
  const index = typeof label === "number" ? label : labels.indexOf(label)
  if (labels[index] !== undefined) return index
  throw new Error(
    `expected as label one of those of ${model}, ${names}, found ${JSON.stringify(label)}`,
  )
}
