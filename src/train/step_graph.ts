/**
 * One training step as one graph: the forward pass, an objective's loss, and the gradient of every
 * variable.
 *
 * | input | shape | |
 * |---|---|---|
 * | `ids`, `targets` | `[rows, tokens]`, `[rows * tokens, 1]` | tokens, and the token after each |
 * | `mask` | `[rows, tokens]` | 1 where the target is scored |
 * | `unit` | `[]` | 1 / examples of the whole step, so that batches add up to a mean |
 * | `present` | `[pairs, 1]` | 0 for pairs that only fill up a batch |
 * | `reference` | `[rows, 1]` | log-probabilities under the frozen reference |
 *
 * and every variable and weight by its name. Outputs: `figures` (loss and metrics), `likelihoods`
 * `[rows, 1]`, and with gradients one `gradient.N` for each variable.
 */
import { GenArmError, messageOf } from "../errors.ts"
import { trainingLogProbs } from "../llama/training_graph.ts"
import type { EncodedModel } from "../onnx/graph_builder.ts"
import { greater } from "../onnx/operations/activations.ts"
import { add, multiply, subtract } from "../onnx/operations/arithmetic.ts"
import { sum } from "../onnx/operations/reductions.ts"
import { concat, reshape, splitAt } from "../onnx/operations/shapes.ts"
import { Tape, type Tensor } from "../onnx/tape.ts"
import type { ObjectiveDefinition, ObjectiveLoss, PairRows } from "../plugin/objective.ts"
import { factorName, type Trainable, weightName } from "./trainable.ts"

/** What the graph is for. */
export interface StepShape {
  readonly rows: number
  readonly tokens: number
  readonly gradients: boolean
}

/** A graph with the names of its figures. */
export interface StepGraph {
  readonly encoded: EncodedModel
  /** The loss, then the objective's metrics: the order of `figures`. */
  readonly figures: readonly string[]
}

/** Writes the graph. */
export function stepGraph(
  trainable: Trainable,
  objective: ObjectiveDefinition,
  options: unknown,
  { rows, tokens, gradients }: StepShape,
): StepGraph {
  const { config, variables, weights, adapter } = trainable
  const tape = new Tape()
  const ids = tape.input("ids", "int64", [rows, tokens])
  const targets = tape.input("targets", "int64", [rows * tokens, 1])
  const mask = tape.input("mask", "float32", [rows, tokens])
  const unit = tape.input("unit", "float32", [])

  const tensors = new Map<string, Tensor>()
  for (const { name, shape } of variables) tensors.set(name, tape.variable(name, shape))
  for (const { name, shape } of weights) {
    if (!tensors.has(name)) tensors.set(name, tape.input(name, "float32", shape))
  }
  const logProbs = trainingLogProbs(tape, config, {
    ids,
    targets,
    parameter: (key, layer) => tensors.get(weightName(key, layer)),
    ...adapter !== undefined && {
      adapter: (module, layer) => {
        const a = tensors.get(factorName(layer, module, "A"))
        const b = tensors.get(factorName(layer, module, "B"))
        return a && b && { a, b, scale: adapter.alpha / adapter.rank }
      },
    },
  })
  const scored = multiply(logProbs, mask)
  tape.output("likelihoods", sum(scored, [1]))
  const names = guarded(objective.name, () => {
    const { loss, metrics = {} } = objectiveLoss(tape, objective, options, { scored, mask, unit })
    const figures = Object.entries({ loss, ...metrics })
    for (const [name, { shape }] of figures) {
      if (shape.some((size) => size !== 1)) {
        throw new Error(`expected a mean of the batch, [1, 1], as ${name}, found [${shape}]`)
      }
    }
    tape.output("figures", concat(figures.map(([, figure]) => reshape(figure, [1])), 0))
    if (gradients) {
      tape.gradients(loss, variables.map(({ name }) => tensors.get(name)!))
        .forEach((gradient, i) => tape.output(`gradient.${i}`, gradient))
    }
    return figures.map(([name]) => name)
  })
  return { encoded: tape.graph.encode(), figures: names }
}

/** Runs an objective's code: whatever it throws becomes an error that names it. */
function guarded<A>(plugin: string, run: () => A): A {
  try {
    return run()
  } catch (error) {
    if (error instanceof GenArmError) throw error
    throw new GenArmError(
      { _tag: "PluginFailed", plugin },
      `the objective "${plugin}" failed: ${messageOf(error)}`,
      { cause: error },
    )
  }
}

function objectiveLoss(
  tape: Tape,
  objective: ObjectiveDefinition,
  options: unknown,
  batch: { readonly scored: Tensor; readonly mask: Tensor; readonly unit: Tensor },
): ObjectiveLoss {
  const { scored, mask, unit } = batch
  const scoredTokens = sum(mask, [1])
  // A row that only fills a batch up scores none; an objective may divide by the count.
  const isEmpty = subtract(tape.scalar(1), greater(scoredTokens, tape.scalar(0)))
  const counts = add(scoredTokens, isEmpty)
  if (objective.data === "texts") {
    const mean = (perToken: Tensor) => multiply(sum(multiply(perToken, mask)), unit)
    return objective.loss(options, { logProbs: scored, counts, mean })
  }
  const pairs = (scored.shape[0] as number) / 2
  const present = tape.input("present", "float32", [pairs, 1])
  const halves = (x: Tensor) => splitAt(x, 0, [pairs, pairs])
  const [chosen, rejected] = halves(scored)
  const [chosenCounts, rejectedCounts] = halves(counts)
  const references = objective.reference === true
    ? halves(tape.input("reference", "float32", [2 * pairs, 1]))
    : undefined
  const side = (logProbs: Tensor, counts: Tensor, reference: Tensor | undefined): PairRows => ({
    logProbs,
    counts,
    ...reference !== undefined && { reference },
  })
  return objective.loss(options, {
    chosen: side(chosen, chosenCounts, references?.[0]),
    rejected: side(rejected, rejectedCounts, references?.[1]),
    mean: (perPair) => multiply(sum(multiply(perPair, present)), unit),
  })
}
