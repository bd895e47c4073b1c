/**
 * What the checks of an objective share: a small model with made-up weights, examples, and the steps of a
 * training that are run on them. ONNX Runtime is loaded when the first step is.
 */
import { randomStream } from "../math/random.ts"
import { definition, type PluginNode } from "../plugin/node.ts"
import type { ObjectiveDefinition } from "../plugin/objective.ts"
import { type Batch, type BatchRow, layOut } from "../train/batch.ts"
import type { StepResult, StepRunner } from "../train/step_runner.ts"
import { fullWeights, randomWeights, type Trainable } from "../train/trainable.ts"

/** Ids of the made-up model. */
const vocabularySize = 24
/** Tokens of a prompt, and of a text after it at most. */
const promptLength = 2
const longest = 5
/** Tokens of a row: one less than there are in the longest example. */
const width = promptLength + longest - 1

const config: Trainable["config"] = {
  vocabularySize,
  hiddenSize: 8,
  intermediateSize: 16,
  layers: 1,
  heads: 2,
  keyValueHeads: 2,
  headSize: 4,
  normEpsilon: 1e-5,
  contextLength: 64,
  rope: { inverseFrequencies: Float32Array.of(1, 0.01), attentionFactor: 1 },
  tiedHead: true,
  queryKeyValueBias: false,
  outputBias: false,
  feedForwardBias: false,
  queryKeyNorm: false,
  slidingWindows: [null],
}

/** A text, or two of which the first is preferred, after the same prompt; with their likelihoods before training. */
export interface Example {
  readonly texts: readonly (readonly number[])[]
  /** Natural log, for each text. */
  readonly reference: readonly number[]
}

/** How examples become a batch. */
export interface BatchShape {
  /** Examples of the step that they belong to; as many as there are where absent. */
  readonly of?: readonly Example[]
  /** Examples that only fill the batch up; none where absent. */
  readonly filling?: number
  /** Tokens of a row beyond the longest text; none where absent. */
  readonly padding?: number
}

/** What a step gave. */
export interface Step extends StepResult {
  /** Of the loss by the model's weights, `[weights]`. */
  readonly gradient: Float32Array
}

/** Runs steps on one model. */
export interface Steps {
  /** The model's weights, which steps read as they are then. */
  readonly weights: Float32Array
  /** Without the gradient. */
  evaluate(batch: Batch): Promise<StepResult>
  step(batch: Batch): Promise<Step>
}

/** An objective, and what it is checked with. */
export class ObjectiveBench {
  readonly node: PluginNode<"objective">
  readonly #seed: number

  constructor(node: PluginNode<"objective">, seed: number) {
    this.node = node
    this.#seed = seed
  }

  /** What failures call the plugin. */
  get name(): string {
    return `"${this.node.plugin}"`
  }

  get definition(): ObjectiveDefinition {
    return this.node[definition] as ObjectiveDefinition
  }

  /** Texts or pairs, as the objective is for. */
  examples(count: number, salt = 0): readonly Example[] {
    const random = randomStream((this.#seed + salt) % 2 ** 32)
    const below = (most: number) => Math.floor(random.nextUniform() * most)
    const ids = (length: number) => Array.from({ length }, () => below(vocabularySize))
    const sides = this.definition.data === "pairs" ? 2 : 1
    return Array.from({ length: count }, () => {
      const prompt = ids(promptLength)
      const texts = Array.from({ length: sides }, () => [...prompt, ...ids(1 + below(longest))])
      return { texts, reference: texts.map(() => -1 - 9 * random.nextUniform()) }
    })
  }

  /** Lays examples out as training does: pairs that fill up repeat one, texts that do are empty. */
  batch(
    examples: readonly Example[],
    { of = examples, filling = 0, padding = 0 }: BatchShape = {},
  ): Batch {
    const isPairs = this.definition.data === "pairs"
    const empty: Example = { texts: [[]], reference: [0] }
    const fill = new Array<Example>(filling).fill(isPairs ? examples[0] : empty)
    const filled = [...examples, ...fill]
    const side = (i: number) =>
      filled.map(({ texts }): BatchRow => ({
        ids: texts[i],
        isScored: (index) => index >= (isPairs ? promptLength : 1),
      }))
    const references = (i: number) => filled.map(({ reference }) => reference[i])
    if (isPairs) {
      return {
        ...layOut([...side(0), ...side(1)], width + padding),
        unit: 1 / of.length,
        present: Float32Array.from(filled, (_, i) => i < examples.length ? 1 : 0),
        reference: Float32Array.from([...references(0), ...references(1)]),
      }
    }
    const scored = of.reduce((sum, { texts: [text] }) => sum + text.length - 1, 0)
    return { ...layOut(side(0), width + padding), unit: 1 / scored }
  }

  /**
   * Runs steps on a model of its own.
   *
   * @param spread How far the model's weights are apart: at 0 all tokens are as likely, and at 1 as in
   * a model that has learnt something.
   */
  async withSteps<A>(
    use: (steps: Steps) => Promise<A>,
    { spread = 1, node = this.node }: {
      readonly spread?: number
      readonly node?: PluginNode<"objective">
    } = {},
  ): Promise<A> {
    const { StepRunner } = await import("../train/step_runner.ts")
    // All but the norms' weights, which are 1.
    const weights = randomWeights(config, this.#seed).map((w) => w === 1 ? 1 : 25 * spread * w)
    const objective = node[definition] as ObjectiveDefinition
    const runner: StepRunner = new StepRunner(
      fullWeights(config, weights),
      objective,
      node.options,
      1,
    )
    try {
      return await use({
        weights,
        evaluate: (batch) => runner.evaluate(batch),
        async step(batch) {
          const gradient = new Float32Array(weights.length)
          return { ...await runner.accumulate(batch, gradient), gradient }
        },
      })
    } finally {
      await runner.close()
    }
  }
}
