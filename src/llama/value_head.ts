/**
 * Which head a model has. In the place of the head that gives every token a probability, reward models
 * and classifiers have one that gives every label a value: transformers calls them
 * `...ForSequenceClassification`, and their head `score`. It has no bias, and stands after every token,
 * though they were trained for the last one.
 */
import type { Json } from "../files/model_folder.ts"

/** Labels where `config.json` names none, as transformers has it. */
const standard = 2

/** Above every real head; what a damaged file claims must not be allocated. */
const mostLabels = 1 << 16

/** The architecture that `config.json` names; `undefined` where it names none. */
export function architectureOf({ architectures }: Json): string | undefined {
  const [first] = Array.isArray(architectures) ? architectures : []
  return typeof first === "string" ? first : undefined
}

/** Whether the model gives values of labels instead of probabilities of tokens. */
export function hasValueHead(config: Json): boolean {
  return architectureOf(config)?.endsWith("ForSequenceClassification") === true
}

/** The names of a value head's labels, in the order of its rows; `undefined` for language models. */
export function valueLabels(
  config: Json,
  refuse: (what: string) => never,
): readonly string[] | undefined {
  if (hasValueHead(config)) return labelsOf(config, refuse)
  const architecture = architectureOf(config)
  if (architecture === undefined || !otherHeads.test(architecture)) return undefined
  return refuse(
    `the head of ${architecture} is not supported: expected a language model (...ForCausalLM), or a ` +
      "reward model or classifier with a linear head (...ForSequenceClassification)",
  )
}

/** Heads on the same layers that are neither of the two. */
const otherHeads = /For(TokenClassification|QuestionAnswering|\w*RewardModel\w*)$/

/** `id2label` counts, and `num_labels` where there is none, as in transformers. */
function labelsOf(config: Json, refuse: (what: string) => never): readonly string[] {
  const { id2label, num_labels: count } = config
  if (id2label === undefined || id2label === null) {
    const labels = count ?? standard
    if (
      Number.isSafeInteger(labels) && (labels as number) > 0 && (labels as number) <= mostLabels
    ) {
      return Array.from({ length: labels as number }, (_, i) => `LABEL_${i}`)
    }
    return refuse(
      `expected num_labels as an integer from 1 to ${mostLabels}, found ${JSON.stringify(labels)}`,
    )
  }
  const names = typeof id2label === "object" ? id2label as Json : {}
  const size = Object.keys(names).length
  const labels = Array.from({ length: size }, (_, i) => names[String(i)])
  if (size > 0 && labels.every((label) => typeof label === "string")) return labels as string[]
  return refuse(
    'expected id2label as the names of the labels, "0", "1" and so on, found ' +
      JSON.stringify(id2label),
  )
}
