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
import { trainingLogProbs } from "../llama/training_graph.ts"
import type { EncodedModel } from "../onnx/graph_builder.ts"
import { multiply } from "../onnx/operations/arithmetic.ts"
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
  const { loss, metrics = {} } = objectiveLoss(tape, objective, options, { scored, mask, unit })
  const figures = [loss, ...Object.values(metrics)].map((figure) => reshape(figure, [1]))
  tape.output("figures", concat(figures, 0))
  tape.output("likelihoods", sum(scored, [1]))
  if (gradients) {
    tape.gradients(loss, variables.map(({ name }) => tensors.get(name)!))
      .forEach((gradient, i) => tape.output(`gradient.${i}`, gradient))
  }
  return { encoded: tape.graph.encode(), figures: ["loss", ...Object.keys(metrics)] }
}

function objectiveLoss(
  tape: Tape,
  objective: ObjectiveDefinition,
  options: unknown,
  batch: { readonly scored: Tensor; readonly mask: Tensor; readonly unit: Tensor },
): ObjectiveLoss {
  const { scored, mask, unit } = batch
  const counts = sum(mask, [1])
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
