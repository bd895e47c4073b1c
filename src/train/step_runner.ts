/**
 * Running steps: one session for each shape of batch, of which the latest are kept. Weights are inputs
 * that the session reads where they lie, so that sessions share them and none is rebuilt when they
 * change. A session keeps the memory of its activations, by which it is a fifth faster.
 */
import { InferenceSession, Tensor } from "onnxruntime-node"
import { GenArmError, messageOf } from "../errors.ts"
import type { ObjectiveDefinition } from "../plugin/objective.ts"
import type { Batch } from "./batch.ts"
import { stepGraph } from "./step_graph.ts"
import type { Trainable } from "./trainable.ts"

/** Positions of all sessions kept, by those of the largest batch: so many times its memory at most. */
const mostKept = 2

/** What one batch gave. */
export interface StepResult {
  /** The batch's share of the step's loss and metrics. */
  readonly figures: Readonly<Record<string, number>>
  /** `[rows]`: natural log-probability of each row's scored tokens. */
  readonly likelihoods: Float32Array
}

interface OpenStep {
  readonly session: InferenceSession
  readonly figures: readonly string[]
  /** `rows * tokens`, which its memory grows with. */
  readonly positions: number
}

/** Runs batches through the graphs of their shapes. */
export class StepRunner {
  readonly #trainable: Trainable
  readonly #objective: ObjectiveDefinition
  readonly #options: unknown
  readonly #threads: number
  readonly #weights: Record<string, Tensor> = {}
  readonly #steps = new Map<string, OpenStep>()
  /** Positions of the largest batch so far. */
  #largest = 0

  constructor(
    trainable: Trainable,
    objective: ObjectiveDefinition,
    options: unknown,
    threads: number,
  ) {
    this.#trainable = trainable
    this.#objective = objective
    this.#options = options
    this.#threads = threads
    for (const { name, shape, values } of [...trainable.weights, ...trainable.variables]) {
      this.#weights[name] = new Tensor("float32", values, shape)
    }
  }

  /** The loss, without gradients. */
  evaluate(batch: Batch): Promise<StepResult> {
    return this.#run(batch, undefined)
  }

  /** The loss; the gradient is added to `gradient`, laid out as the trainable's values. */
  accumulate(batch: Batch, gradient: Float32Array): Promise<StepResult> {
    return this.#run(batch, gradient)
  }

  /** Frees the sessions. */
  async close(): Promise<void> {
    for (const { session } of this.#steps.values()) await session.release()
    this.#steps.clear()
  }

  async #run(batch: Batch, gradient: Float32Array | undefined): Promise<StepResult> {
    const { rows, tokens } = batch
    const { session, figures } = await this.#open(rows, tokens, gradient !== undefined)
    const feeds: Record<string, Tensor> = {
      ...this.#weights,
      ids: new Tensor("int64", batch.ids, [rows, tokens]),
      targets: new Tensor("int64", batch.targets, [rows * tokens, 1]),
      mask: new Tensor("float32", batch.mask, [rows, tokens]),
      unit: new Tensor("float32", Float32Array.of(batch.unit), []),
    }
    if (this.#objective.data === "pairs") {
      feeds.present = new Tensor("float32", batch.present!, [rows / 2, 1])
      if (this.#objective.reference === true) {
        const reference = batch.reference ?? new Float32Array(rows)
        feeds.reference = new Tensor("float32", reference, [rows, 1])
      }
    }
    const outputs = await session.run(feeds).catch((error) => {
      throw new GenArmError(
        { _tag: "EngineFailed", engine: this.#objective.name },
        `ONNX Runtime failed at a batch of ${rows} rows of ${tokens} tokens: ${
          messageOf(error)
        }; ` +
          "where memory is short, a larger accumulate makes batches smaller",
        { cause: error },
      )
    })
    if (gradient !== undefined) {
      let offset = 0
      this.#trainable.variables.forEach((_, i) => {
        const part = outputs[`gradient.${i}`].data as Float32Array
        for (let k = 0; k < part.length; k++) gradient[offset + k] += part[k]
        offset += part.length
      })
    }
    const values = outputs.figures.data as Float32Array
    return {
      figures: Object.fromEntries(figures.map((name, i) => [name, values[i]])),
      likelihoods: outputs.likelihoods.data as Float32Array,
    }
  }

  async #open(rows: number, tokens: number, gradients: boolean): Promise<OpenStep> {
    const key = `${rows} ${tokens} ${gradients}`
    const known = this.#steps.get(key)
    if (known !== undefined) {
      // The latest stand at the end.
      this.#steps.delete(key)
      this.#steps.set(key, known)
      return known
    }
    const positions = rows * tokens
    this.#largest = Math.max(this.#largest, positions)
    let kept = positions
    for (const step of this.#steps.values()) kept += step.positions
    for (const [oldest, step] of this.#steps) {
      if (kept <= mostKept * this.#largest) break
      this.#steps.delete(oldest)
      kept -= step.positions
      await step.session.release()
    }
    const { encoded, figures } = stepGraph(this.#trainable, this.#objective, this.#options, {
      rows,
      tokens,
      gradients,
    })
    try {
      const session = await InferenceSession.create(encoded.model, {
        externalData: encoded.externalData,
        intraOpNumThreads: this.#threads,
        logSeverityLevel: 4,
        extra: { session: { intra_op: { allow_spinning: "0" } } },
      })
      const opened = { session, figures, positions }
      this.#steps.set(key, opened)
      return opened
    } catch (error) {
      throw new GenArmError(
        { _tag: "EngineFailed", engine: this.#objective.name },
        `ONNX Runtime could not open the training graph of ${this.#objective.name}, ${rows} rows of ` +
          `${tokens} tokens: ${messageOf(error)}`,
        { cause: error },
      )
    }
  }
}
