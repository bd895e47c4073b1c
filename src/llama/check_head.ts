/** Whether weights have the head that `config.json` says: what differs where a file is the wrong one. */
import { GenArmError } from "../errors.ts"
import type { TensorStore } from "../files/safetensors.ts"
import type { ParameterGroup } from "./parameters.ts"

const languageHead = "lm_head.weight"
const valueHead = "score.weight"

/** Refuses another head than `group` stands for; other groups are let pass. */
export function checkHead(group: ParameterGroup, store: TensorStore, model: string): void {
  const what = group.key === "valueHead"
    ? valueHeadProblem(group, store)
    : group.key === "head"
    ? languageHeadProblem(store)
    : undefined
  if (what === undefined) return
  throw new GenArmError({ _tag: "InvalidModelFile", file: model }, `${model}: ${what}`)
}

function valueHeadProblem(
  { rows, columns }: ParameterGroup,
  store: TensorStore,
): string | undefined {
  if (!store.has(valueHead)) {
    const expected =
      `config.json says that it gives values (...ForSequenceClassification): expected ` +
      `"${valueHead}" of shape [${rows}, ${columns}] in its weights, found `
    return store.has(languageHead)
      ? `${expected}"${languageHead}", the head of a language model: name the folder of the trained ` +
        'reward model, or let config.json say "architectures": ["...ForCausalLM"] and use it as one'
      : `${expected}no head: name the folder that its training saved, head included`
  }
  const [found] = store.shape(valueHead)
  if (found === rows) return undefined
  const labels = rows === 1 ? "1 label" : `${rows} labels`
  return `config.json has ${labels}, by id2label, else num_labels, else 2: expected as many rows in ` +
    `"${valueHead}", found ${found}: give id2label a name for each row`
}

function languageHeadProblem(store: TensorStore): string | undefined {
  if (store.has(languageHead) || !store.has(valueHead)) return undefined
  return `config.json describes a language model: expected "${languageHead}" in its weights, found ` +
    `"${valueHead}", the head of a reward model: let config.json say "architectures": ` +
    '["...ForSequenceClassification"], and read it with valueHead({ model })'
}
