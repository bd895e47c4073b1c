import { InferenceSession, Tensor } from "onnxruntime-node"
import process from "node:process"
import { nextToken } from "genarm"
import { readLlamaConfig } from "../src/llama/config.ts"
import { parameterGroups } from "../src/llama/parameters.ts"
import { linear } from "../src/onnx/operations/products.ts"
import { Tape } from "../src/onnx/tape.ts"
import { layOut } from "../src/train/batch.ts"
import { AdamW, gradientNorm } from "../src/train/optimizer.ts"
import { StepRunner } from "../src/train/step_runner.ts"
import { fullWeights } from "../src/train/trainable.ts"
import {
  firstWeights,
  flopPerToken,
  optimizer as rates,
  standardTask,
  tokensOf,
  type TrainingFigures,
  type TrainingTask,
} from "./peers/_training_step.ts"
import { tfjsTraining, torchTraining } from "./peers/training.ts"
import { median, spread } from "./_statistics.ts"
import { type BenchTable, printTable } from "./_table.ts"

/** Matrix products timed between steps: the model's own largest, and one that fits any kernel well. */
const products = [[2048, 192, 576], [2048, 192, 1024], [2048, 512, 192], [2048, 192, 2048], [
  1024,
  1024,
  1024,
]] as const

/**
 * Times whole training steps (forward, backward, clipping, AdamW) beside the runtime's own matrix
 * products, in turn, and beside other libraries on the same model, weights and tokens.
 */
export async function training({ quick }: { quick: boolean }): Promise<BenchTable> {
  const task: TrainingTask = { ...standardTask, steps: quick ? 6 : 20 }
  const ours = await timeOurs(task)
  const peak = Math.max(...ours.peaks.map((times) => median(times)))
  const rows: (string | number)[][] = [[
    "genarm, one ONNX graph",
    spread(ours.figures.ms, 0),
    Math.round(ours.figures.tokensPerSecond),
    (ours.figures.flopPerSecond / 1e9).toFixed(0),
    spread(ours.shares, 2),
    "1.00",
    ours.figures.peakRssMB.toFixed(0),
  ]]
  const notes = [
    `A Llama of 3 million weights, ${task.batch} rows of ${task.length} tokens, float32, ` +
    `${task.threads} threads; ${(flopPerToken(task) / 1e6).toFixed(1)} MFLOP a token ` +
    "(3 x 2 x weights that multiply, and attention with its masked half).",
    `The peak is ONNX Runtime's own matrix product: the best of ${products.length} shapes, timed ` +
    `after every step; its median was ${(peak / 1e9).toFixed(0)} GFLOP/s. The share is that of ` +
    "neighbouring measurements, with its quartiles.",
  ]
  for (
    const [name, peer] of [["PyTorch", torchTraining], ["TensorFlow.js", tfjsTraining]] as const
  ) {
    const result = await peer(task)
    if ("skipped" in result) {
      notes.push(`${name} was left out: ${result.skipped}`)
      continue
    }
    const { figures } = result
    const apart = Math.max(
      ...figures.losses.slice(0, 3).map((loss, i) => Math.abs(loss - ours.figures.losses[i])),
    )
    rows.push([
      figures.peer,
      spread(figures.ms, 0),
      Math.round(figures.tokensPerSecond),
      (figures.flopPerSecond / 1e9).toFixed(0),
      (figures.flopPerSecond / peak).toFixed(2),
      (figures.msPerStep / ours.figures.msPerStep).toFixed(2),
      figures.peakRssMB.toFixed(0),
    ])
    notes.push(
      `${figures.peer}: ${figures.about}; losses of the first steps differ by ${
        apart.toExponential(0)
      }.`,
    )
  }
  return {
    question: "How fast is a training step?",
    columns: ["", "ms a step", "tokens/s", "GFLOP/s", "of the peak", "time / ours", "peak RSS MB"],
    rows,
    notes,
  }
}

interface OurTimes {
  readonly figures: TrainingFigures
  /** Operations a second of each product, by step. */
  readonly peaks: readonly number[][]
  /** Of each step, its speed by the fastest product next to it. */
  readonly shares: readonly number[]
}

async function timeOurs(task: TrainingTask): Promise<OurTimes> {
  const config = readLlamaConfig({
    model_type: "llama",
    vocab_size: task.vocabulary,
    hidden_size: task.hidden,
    intermediate_size: task.inner,
    num_hidden_layers: task.layers,
    num_attention_heads: task.heads,
    max_position_embeddings: task.length,
    rms_norm_eps: 1e-5,
    rope_theta: 10_000,
    tie_word_embeddings: true,
  }, "the bench's model")
  const named = firstWeights(task)
  const parts = parameterGroups(config).flatMap(({ parts }) =>
    parts.map(({ name }) => named.get(name)!)
  )
  const flat = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0))
  let offset = 0
  for (const part of parts) {
    flat.set(part, offset)
    offset += part.length
  }
  const trainable = fullWeights(config, flat)
  const runner = new StepRunner(trainable, nextToken.definition, {}, task.threads)
  const adam = new AdamW(trainable.variables, {
    betas: [rates.beta1, rates.beta2],
    epsilon: rates.epsilon,
    weightDecay: rates.decay,
  })
  const gradient = new Float32Array(flat.length)
  const timers = await Promise.all(products.map((shape) => productTimer(shape, task.threads)))
  const flop = flopPerToken(task) * task.batch * task.length
  const ms: number[] = []
  const losses: number[] = []
  const shares: number[] = []
  const peaks: number[][] = products.map(() => [])
  let rss = 0
  for (let step = 0; step < task.warmUp + task.steps; step++) {
    const ids = tokensOf(task, step)
    const rows = Array.from({ length: task.batch }, (_, row) => ({
      ids: ids.subarray(row * (task.length + 1), (row + 1) * (task.length + 1)),
      isScored: () => true,
    }))
    const start = performance.now()
    gradient.fill(0)
    const batch = { ...layOut(rows, task.length), unit: 1 / (task.batch * task.length) }
    const { figures } = await runner.accumulate(batch, gradient)
    const clipped = Math.min(1, rates.maxNorm / (gradientNorm(gradient) + 1e-6))
    adam.step(gradient, step + 1, rates.learningRate, clipped)
    const time = performance.now() - start
    losses.push(figures.loss)
    rss = Math.max(rss, process.memoryUsage().rss)
    const speeds: number[] = []
    for (const timer of timers) speeds.push(await timer.run())
    if (step < task.warmUp) continue
    ms.push(time)
    speeds.forEach((speed, i) => peaks[i].push(speed))
    shares.push(flop / (time / 1e3) / Math.max(...speeds))
  }
  for (const timer of timers) await timer.close()
  await runner.close()
  const msPerStep = median(ms)
  return {
    figures: {
      peer: "genarm",
      about: "",
      ms,
      msPerStep,
      tokensPerSecond: (task.batch * task.length) / (msPerStep / 1e3),
      flopPerSecond: flop / (msPerStep / 1e3),
      peakRssMB: rss / 1e6,
      losses,
    },
    peaks,
    shares,
  }
}

/** Runs one matrix product a few times, and gives its operations a second. */
async function productTimer(
  [rows, inner, columns]: readonly [number, number, number],
  threads: number,
): Promise<{ run(): Promise<number>; close(): Promise<void> }> {
  const tape = new Tape()
  const x = tape.input("x", "float32", [rows, inner])
  tape.output("y", linear(x, tape.input("w", "float32", [columns, inner])))
  const { model, externalData } = tape.graph.encode()
  const session = await InferenceSession.create(model, {
    externalData,
    intraOpNumThreads: threads,
    logSeverityLevel: 4,
    extra: { session: { intra_op: { allow_spinning: "0" } } },
  })
  const feeds = {
    x: new Tensor("float32", new Float32Array(rows * inner).fill(0.5), [rows, inner]),
    w: new Tensor("float32", new Float32Array(columns * inner).fill(0.5), [columns, inner]),
  }
  return {
    run: async () => {
      const times: number[] = []
      for (let i = 0; i < 5; i++) {
        const start = performance.now()
        await session.run(feeds)
        times.push(performance.now() - start)
      }
      return (2 * rows * inner * columns) / (median(times) / 1e3)
    },
    close: () => session.release(),
  }
}

if (import.meta.main) printTable(await training({ quick: false }))
