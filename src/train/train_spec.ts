/** What a training is told, and the defaults of what it is not told. */
import { Schema } from "effect"
import { GenArmError } from "../errors.ts"
import type { ModelRef } from "../files/model_ref.ts"
import type { FloatType } from "../files/write_safetensors.ts"
import { type LinearModule, linearModules } from "../llama/linear_modules.ts"
import { checkNode } from "../plugin/check_node.ts"
import { modelRefSchema } from "../plugin/model_ref_schema.ts"
import type { PluginNode } from "../plugin/node.ts"
import { decodeAt } from "../plugin/options.ts"
import { definitionOf, type Plugins } from "../plugin/registry.ts"
import type { LearningRateSchedule } from "./learning_rate.ts"
import type { TrainingData } from "./training_data.ts"

/** A low-rank adapter to train (LoRA, arXiv 2106.09685) in place of all weights. */
export interface AdapterSpec {
  /** Inner dimension of each product; 8 where absent, as in the paper's recipes. */
  readonly rank?: number
  /** The product is scaled by `alpha / rank`; twice the rank where absent. */
  readonly alpha?: number
  /** The adapted modules; queries, keys and values where absent. */
  readonly targets?: readonly LinearModule[]
}

/** The optimiser, AdamW (arXiv 1711.05101). */
export interface OptimizerSpec {
  /** The peak rate; 5e-4 where absent. */
  readonly learningRate?: number
  /** Decay rates of the running means of the gradient and its square; `[0.9, 0.95]` where absent. */
  readonly betas?: readonly [number, number]
  /** Added to the root of the squares; 1e-8 where absent. */
  readonly epsilon?: number
  /** Decay of matrices, decoupled from the gradient; 0.05 where absent. */
  readonly weightDecay?: number
  /** Gradients of a larger norm are scaled down to it; 1 where absent. */
  readonly maxGradientNorm?: number
}

/** A training as data. */
export interface TrainSpec {
  /** The model to begin with: a folder, or `hub:org/name`. `createModel` makes a new one. */
  readonly base: string | ModelRef
  /** Trains a low-rank adapter beside the frozen base; absent, all weights are trained. */
  readonly adapter?: AdapterSpec
  /** What is minimised: `armPreference()`, `nextToken()`, `dpo()` or an objective of one's own. */
  readonly objective: PluginNode<"objective"> | unknown
  /** Texts or preferences, as the objective asks for; each ends in EOS where the tokenizer has one. */
  readonly data: TrainingData
  /** Never learnt from: a share of the data (0.05 where absent, 0 for none), or data of its own. */
  readonly heldOut?: number | TrainingData
  /** The folder that the trained model, or adapter, is written to. */
  readonly out: string
  /** Updates of the weights; give this or `epochs`. */
  readonly steps?: number
  /** Passes over the data. */
  readonly epochs?: number
  /** Pairs in a step, or rows of text; 32 where absent. */
  readonly batch?: number
  /** Parts a step is computed in, one after the other, to save memory; 1 where absent. */
  readonly accumulate?: number
  /** Tokens of a row, at most; the model's context, or 256 where that is longer, where absent. */
  readonly tokens?: number
  /** Tokens of a prompt at most; as many as fit where absent. */
  readonly maxPromptTokens?: number
  /** The optimiser. */
  readonly optimizer?: OptimizerSpec
  /** How the learning rate falls after the warm-up; `"cosine"` where absent. */
  readonly schedule?: LearningRateSchedule
  /** Steps in which the learning rate rises, from 0 at the first; 5 % of all where absent. */
  readonly warmup?: number
  /** Evaluations of the held-out data, besides those before the first step and after the last. */
  readonly evaluate?: {
    /** Steps between two. */
    readonly every: number
    /** So many without a lower loss end the training, and the best weights are kept. */
    readonly patience?: number
  }
  /** Steps between two entries of the log; 10 where absent. */
  readonly logEvery?: number
  /** Steps between two checkpoints; 100 where absent. */
  readonly checkpointEvery?: number
  /** Of the order of the data, and of an adapter's first weights; 0 where absent. */
  readonly seed?: number
  /** How the weights are stored; `"F32"` where absent. */
  readonly dtype?: FloatType
  /** Facts for the model card that no run knows. */
  readonly card?: {
    /** What was trained; the name of the folder where absent. */
    readonly name?: string
    /** How others find the base: in the card, and in an adapter's configuration; `base` where absent. */
    readonly base?: string
    /** What it is for. */
    readonly summary?: string
    /** Of the weights, e.g. `mit`. */
    readonly licence?: string
    /** Obligations that come with the data or the base. */
    readonly licenceNotes?: string
    /** Language codes of the texts. */
    readonly languages?: readonly string[]
  }
}

const positive = Schema.Int.check(Schema.isGreaterThan(0))
/** A step of more rows is a mistake; it is laid out before it is known that it fits no memory. */
const rows = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 2 ** 16 }))
const whole = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const above0 = Schema.Finite.check(Schema.isGreaterThan(0))
const share = Schema.Finite.check(
  Schema.isBetween({ minimum: 0, maximum: 1, exclusiveMaximum: true }),
)

const schema = Schema.Struct({
  base: Schema.Union([Schema.NonEmptyString, modelRefSchema]),
  adapter: Schema.optionalKey(Schema.Struct({
    rank: Schema.optionalKey(positive),
    alpha: Schema.optionalKey(above0),
    targets: Schema.optionalKey(Schema.NonEmptyArray(Schema.Literals(linearModules))),
  })),
  objective: Schema.Unknown,
  data: Schema.Unknown,
  heldOut: Schema.optionalKey(Schema.Unknown),
  out: Schema.NonEmptyString,
  steps: Schema.optionalKey(positive),
  epochs: Schema.optionalKey(above0),
  batch: Schema.optionalKey(rows),
  accumulate: Schema.optionalKey(positive),
  tokens: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(1))),
  maxPromptTokens: Schema.optionalKey(positive),
  optimizer: Schema.optionalKey(Schema.Struct({
    learningRate: Schema.optionalKey(above0),
    betas: Schema.optionalKey(Schema.Tuple([share, share])),
    epsilon: Schema.optionalKey(above0),
    weightDecay: Schema.optionalKey(Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))),
    maxGradientNorm: Schema.optionalKey(above0),
  })),
  schedule: Schema.optionalKey(Schema.Literals(["constant", "linear", "cosine"])),
  warmup: Schema.optionalKey(whole),
  evaluate: Schema.optionalKey(Schema.Struct({
    every: positive,
    patience: Schema.optionalKey(positive),
  })),
  logEvery: Schema.optionalKey(positive),
  checkpointEvery: Schema.optionalKey(positive),
  seed: Schema.optionalKey(
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 32 - 1 })),
  ),
  dtype: Schema.optionalKey(Schema.Literals(["F32", "F16", "BF16"])),
  card: Schema.optionalKey(Schema.Struct({
    name: Schema.optionalKey(Schema.String),
    base: Schema.optionalKey(Schema.String),
    summary: Schema.optionalKey(Schema.String),
    licence: Schema.optionalKey(Schema.String),
    licenceNotes: Schema.optionalKey(Schema.String),
    languages: Schema.optionalKey(Schema.Array(Schema.String)),
  })),
})

/** A specification that has been checked. */
export interface CheckedSpec extends Omit<TrainSpec, "base" | "objective" | "adapter"> {
  readonly base: ModelRef
  readonly objective: PluginNode<"objective">
  readonly adapter?: Required<AdapterSpec>
  readonly batch: number
  readonly accumulate: number
  readonly optimizer: Required<OptimizerSpec>
  readonly schedule: LearningRateSchedule
  readonly seed: number
  readonly dtype: FloatType
  readonly heldOut: number | TrainingData
}

/** Checks a specification and fills in what does not depend on the data. */
export function checkSpec(plugins: Plugins, spec: TrainSpec): CheckedSpec {
  const checked = decodeAt(schema, spec, [], "InvalidOption")
  const refuse = (path: string | readonly string[], message: string) => {
    throw new GenArmError({ _tag: "InvalidOption", path: [path].flat() }, message)
  }
  const base: ModelRef = typeof checked.base === "string" ? { model: checked.base } : checked.base
  if (base.adapter !== undefined) {
    const why = "training goes on from whole weights only"
    refuse(["base", "adapter"], `expected a base without an adapter: ${why}`)
  }
  if (base.weights !== undefined && base.weights !== "f32") {
    const why = "gradients need full weights"
    refuse(["base", "weights"], `expected a base in "f32", found "${base.weights}": ${why}`)
  }
  if ((checked.steps === undefined) === (checked.epochs === undefined)) {
    const found = checked.steps === undefined ? "neither" : "both"
    refuse("steps", `expected either steps or epochs, found ${found}`)
  }
  const { batch = 32, accumulate = 1, data, heldOut = 0.05 } = checked
  if (batch % accumulate !== 0) {
    refuse("accumulate", `expected a divisor of the batch, ${batch}, found ${accumulate}`)
  }
  const targets = checked.adapter?.targets ?? []
  if (new Set(targets).size < targets.length) {
    refuse(["adapter", "targets"], `expected every target once, found ${targets.join(", ")}`)
  }
  if (!isData(data)) refuse("data", `expected a path, { files } or examples, found ${typeof data}`)
  if (typeof heldOut === "number") decodeAt(share, heldOut, ["heldOut"], "InvalidOption")
  else if (!isData(heldOut)) {
    refuse("heldOut", `expected a share, a path, { files } or examples, found ${typeof heldOut}`)
  }
  if (heldOut === 0 && checked.evaluate !== undefined) {
    refuse("evaluate", "expected no evaluate where heldOut is 0: there is nothing to evaluate")
  }
  const objective = checkNode(
    plugins,
    "objective",
    checked.objective,
    ["objective"],
    "InvalidOption",
  )
  if (definitionOf(plugins, "objective", objective).data === "texts") {
    const why = `${objective.plugin} is trained on texts, which have no prompt: leave it out`
    if (checked.maxPromptTokens !== undefined) refuse("maxPromptTokens", why)
    if (base.template !== undefined) refuse(["base", "template"], why)
  }
  const { adapter, optimizer = {}, ...rest } = checked
  return {
    ...rest as Omit<CheckedSpec, "adapter">,
    base,
    objective,
    ...adapter !== undefined && {
      adapter: {
        rank: adapter.rank ?? 8,
        alpha: adapter.alpha ?? 2 * (adapter.rank ?? 8),
        targets: adapter.targets ?? ["q_proj", "k_proj", "v_proj"],
      },
    },
    batch,
    accumulate,
    optimizer: {
      learningRate: 5e-4,
      betas: [0.9, 0.95],
      epsilon: 1e-8,
      weightDecay: 0.05,
      maxGradientNorm: 1,
      ...optimizer,
    },
    schedule: checked.schedule ?? "cosine",
    seed: checked.seed ?? 0,
    dtype: checked.dtype ?? "F32",
    heldOut: heldOut as number | TrainingData,
  }
}

function isData(data: unknown): data is TrainingData {
  if (typeof data === "string") return data !== ""
  if (typeof data !== "object" || data === null) return false
  return "files" in data
    ? Array.isArray(data.files) && data.files.length > 0 &&
      data.files.every((file) => typeof file === "string" && file !== "")
    : Symbol.iterator in data || Symbol.asyncIterator in data
}
