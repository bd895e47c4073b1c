/**
 * `adapter_config.json` of a low-rank adapter as PEFT writes it (https://arxiv.org/abs/2106.09685,
 * https://huggingface.co/docs/peft): which modules it changes, with which rank and factor. What would
 * change the mathematics and is not known here is refused, new settings of later versions included.
 */
import { GenArmError, messageOf } from "../errors.ts"
import type { Json } from "../files/model_folder.ts"

/** What an adapter does to one module: `x W^T + scale * x A^T B^T`. */
export interface LowRankSetting {
  /** Rows of A and columns of B. */
  readonly rank: number
  /** `alpha / rank`, or `alpha / sqrt(rank)` where the adapter is rank-stabilised. */
  readonly scale: number
}

/** The settings of an adapter. */
export interface AdapterConfig {
  /** The setting of a module by its full name; `undefined` where the adapter leaves it alone. */
  readonly settingOf: (module: string) => LowRankSetting | undefined
}

/** Settings that this file reads, or checks below. */
const known = [
  ...["peft_type", "task_type", "r", "lora_alpha", "rank_pattern", "alpha_pattern", "use_rslora"],
  ...["target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "bias"],
  ...["init_lora_weights"],
]

/** Settings of training and bookkeeping, without effect on what an adapter computes. */
const harmless = [
  ...["auto_mapping", "peft_version", "base_model_name_or_path", "revision", "inference_mode"],
  ...["lora_dropout", "megatron_core", "qalora_group_size", "loftq_config", "eva_config"],
  ...["corda_config", "lora_ga_config", "runtime_config"],
]

/** Initial weights that leave the base as it is; `pissa`, `olora` and others subtract from it. */
const initialisations: readonly unknown[] = [true, false, "gaussian", "eva", "orthogonal"]

/** Above every real rank; what a damaged file claims must not be allocated. */
const rankLimit = 1 << 16

/** Reads the settings; `adapter` names the adapter in errors. */
export function readAdapterConfig(config: Json, adapter: string): AdapterConfig {
  const refuse = (what: string): never => {
    throw new GenArmError({ _tag: "UnsupportedModel", model: adapter }, `${adapter}: ${what}`)
  }
  const found = (key: string) => `found ${JSON.stringify(config[key]) ?? "nothing"}`
  if (config.peft_type !== "LORA") {
    refuse(`expected a low-rank adapter, "peft_type": "LORA", ${found("peft_type")}`)
  }
  if (!["CAUSAL_LM", undefined].includes(textOf(config.task_type))) {
    const advice = config.task_type === "SEQ_CLS"
      ? ", which comes with a value head of its own: merge both into the base (merge_and_unload in " +
        "PEFT), and name the merged folder in valueHead({ model })"
      : ""
    refuse(
      `expected an adapter of a language model, task_type "CAUSAL_LM", ${
        found("task_type")
      }${advice}`,
    )
  }
  if ((config.bias ?? "none") !== "none") {
    refuse(`adapters that train biases are not supported: expected bias "none", ${found("bias")}`)
  }
  if (!initialisations.includes(config.init_lora_weights ?? true)) {
    refuse(
      `its init_lora_weights, ${
        JSON.stringify(config.init_lora_weights)
      }, changed the base's own ` +
        "weights: convert it with PEFT (path_initial_model_for_weight_conversion)",
    )
  }
  for (const [key, value] of Object.entries(config)) {
    if (known.includes(key) || harmless.includes(key) || isEmpty(value)) continue
    refuse(
      `its setting ${key}, ${
        JSON.stringify(value)
      }, is not supported: train it without, or merge ` +
        "it into its base (merge_and_unload in PEFT) and name the merged folder as a model",
    )
  }
  const targets = targetsOf(config, refuse)
  for (const module of ["lm_head", "model.embed_tokens"]) {
    if (!targets(module)) continue
    refuse(`it adapts ${module}, and only the linear modules of layers can be adapted`)
  }

  const rank = rankOf("r", config.r ?? 8, refuse)
  const alpha = alphaOf("lora_alpha", config.lora_alpha ?? 8, refuse)
  const rankFor = byPattern("rank_pattern", config, rank, rankOf, refuse)
  const alphaFor = byPattern("alpha_pattern", config, alpha, alphaOf, refuse)
  const isStabilised = config.use_rslora === true
  return {
    settingOf: (module) => {
      if (!targets(module)) return undefined
      const rank = rankFor(module)
      return { rank, scale: alphaFor(module) / (isStabilised ? Math.sqrt(rank) : rank) }
    },
  }
}

/** Which modules are adapted, by the rules of `check_target_module_exists` in PEFT. */
function targetsOf(config: Json, refuse: Refuse): (module: string) => boolean {
  const { target_modules: targets, exclude_modules: excluded, layers_pattern: pattern } = config
  if (targets === "all-linear") {
    // PEFT leaves the head out; what is left are the linear modules of layers.
    return except((module) => /^model\.layers\./.test(module))
  }
  const named = namesOf("target_modules", targets, refuse)
  if (named === undefined) {
    return refuse(
      `expected target_modules as names or a regular expression, found ${JSON.stringify(targets)}`,
    )
  }
  const layers = layersOf(config.layers_to_transform, refuse)
  if (layers === undefined || typeof targets === "string") return except(named)
  const patterns = namesList(pattern) ?? ["[^.]*"]
  const numbers = patterns.map((text) =>
    regularExpression("layers_pattern", `^(?:|.*?\\.)(?:${text})\\.(\\d+)\\.`, refuse)
  )
  return except((module) => {
    const match = numbers.map((number) => number.exec(module)).find((match) => match !== null)
    return named(module) && match !== undefined && layers.includes(Number(match[1]))
  })

  function except(isTarget: (module: string) => boolean): (module: string) => boolean {
    if (isEmpty(excluded)) return isTarget
    const isExcluded = namesOf("exclude_modules", excluded, refuse)
    if (isExcluded === undefined) {
      return refuse(`expected exclude_modules as names, found ${JSON.stringify(excluded)}`)
    }
    return (module) => isTarget(module) && !isExcluded(module)
  }
}

type Refuse = (what: string) => never

/** A regular expression for whole names, or a list of their ends. */
function namesOf(
  key: string,
  value: unknown,
  refuse: Refuse,
): ((module: string) => boolean) | undefined {
  if (typeof value === "string" && value !== "") {
    const whole = regularExpression(key, `^(?:${value})$`, refuse)
    return (module) => whole.test(module)
  }
  const names = namesList(value)
  return names &&
    ((module) => names.some((name) => module === name || module.endsWith(`.${name}`)))
}

function namesList(value: unknown): readonly string[] | undefined {
  const list = typeof value === "string" ? [value] : value
  return Array.isArray(list) && list.length > 0 && list.every((name) => typeof name === "string")
    ? list
    : undefined
}

function layersOf(value: unknown, refuse: Refuse): readonly number[] | undefined {
  if (isEmpty(value)) return undefined
  const layers = Array.isArray(value) ? value : [value]
  if (layers.every((layer) => Number.isSafeInteger(layer))) return layers
  return refuse(`expected layers_to_transform as numbers, found ${JSON.stringify(value)}`)
}

/** A value for all modules, and others for those whose name ends in a pattern; the first match counts. */
function byPattern(
  key: string,
  config: Json,
  standard: number,
  check: (key: string, value: unknown, refuse: Refuse) => number,
  refuse: Refuse,
): (module: string) => number {
  const patterns = config[key] ?? {}
  if (typeof patterns !== "object" || Array.isArray(patterns)) {
    refuse(`expected ${key} as numbers by name, found ${JSON.stringify(patterns)}`)
  }
  const rules = Object.entries(patterns).map(([pattern, value]) => ({
    matches: regularExpression(key, `^(?:.*\\.)?(?:${pattern})$`, refuse),
    value: check(`${key}["${pattern}"]`, value, refuse),
  }))
  return (module) => rules.find(({ matches }) => matches.test(module))?.value ?? standard
}

/** Python's syntax is read as JavaScript's: what differs shows when the tensors are looked for. */
function regularExpression(key: string, source: string, refuse: Refuse): RegExp {
  try {
    return new RegExp(source)
  } catch (error) {
    return refuse(`${key} cannot be read: ${messageOf(error)}; list the modules by their names`)
  }
}

function rankOf(key: string, value: unknown, refuse: Refuse): number {
  if (Number.isSafeInteger(value) && (value as number) > 0 && (value as number) <= rankLimit) {
    return value as number
  }
  return refuse(
    `expected ${key} as an integer from 1 to ${rankLimit}, found ${JSON.stringify(value)}`,
  )
}

function alphaOf(key: string, value: unknown, refuse: Refuse): number {
  if (typeof value === "number" && Number.isFinite(value)) return value
  return refuse(`expected ${key} as a number, found ${JSON.stringify(value)}`)
}

function textOf(value: unknown): string | undefined {
  return value === null || value === undefined ? undefined : String(value)
}

/** Whether a setting is left at "nothing". */
function isEmpty(value: unknown): boolean {
  if (value === null || value === undefined || value === false || value === "") return true
  return typeof value === "object" && Object.keys(value).length === 0
}
