/**
 * TensorFlow.js's side of the training bench: the step of `_training_step.ts` on the WebAssembly
 * backend, with the argument and the last line that `torch_training.py` has too.
 *
 * As it comes, a step takes five times as long: the gradient of `matMul` sets its transpose flags,
 * which leave the backend's fast path, so that here it transposes and multiplies; and the gradient of
 * `gather` has no kernel, so that here it is a product with one-hot rows. Weights are kept [in, out].
 */
import { existsSync, readFileSync } from "node:fs"
import process from "node:process"
import { loadTfjs, type Tensor, type Tfjs, version } from "./_tfjs.ts"
import {
  firstWeights,
  flopPerToken,
  optimizer,
  shapesOf,
  tokensOf,
  type TrainingFigures,
  type TrainingTask,
} from "./_training_step.ts"
import { median } from "../_statistics.ts"

/** The loss as a function of the weights, by name, and the ids, [batch, length + 1]. */
function lossFunction(tf: Tfjs, task: TrainingTask) {
  const { hidden, layers, heads, vocabulary, batch, length } = task
  const size = hidden / heads
  const positions = batch * length
  const half = size / 2
  const table = (of: (x: number) => number) =>
    tf.tensor(
      Array.from({ length: length * half }, (_, i) =>
        of(Math.floor(i / half) / 10000 ** (2 * (i % half) / size))),
      [length, half],
    )
  const cos = table(Math.cos)
  const sin = table(Math.sin)
  const mask = tf.tensor(
    Array.from({ length: length ** 2 }, (_, i) => i % length > Math.floor(i / length) ? -1e9 : 0),
    [length, length],
  )
  const scale = tf.scalar(1 / Math.sqrt(size))
  const epsilon = tf.scalar(1e-5)

  const flipped = (a: Tensor) => {
    const order = a.shape.map((_, i) => i)
    return tf.transpose(a, [...order.slice(0, -2), order.length - 1, order.length - 2])
  }
  const matMul = tf.customGrad<[Tensor, Tensor]>((a, b, save) => {
    save([a, b])
    return {
      value: tf.matMul(a, b),
      gradFunc: (dy, [x, y]) => [tf.matMul(dy, flipped(y)), tf.matMul(flipped(x), dy)],
    }
  })
  /** [V, D] at ids: [N, D] */
  const embed = (weights: Tensor, ids: Tensor) =>
    tf.customGrad<[Tensor]>((w) => ({
      value: tf.gather(w, ids),
      gradFunc: (dy) => tf.matMul(tf.transpose(oneHot(ids)), dy),
    }))(weights)
  const oneHot = (ids: Tensor) => tf.cast(tf.oneHot(ids, vocabulary), "float32")
  /** The mean of -log p, with softmax less one-hot as its gradient. */
  const crossEntropy = (logits: Tensor, targets: Tensor) =>
    tf.customGrad<[Tensor]>((x, save) => {
      const exps = tf.exp(tf.sub(x, tf.max(x, 1, true)))
      const sums = tf.sum(exps, 1, true)
      const wanted = oneHot(targets)
      const p = tf.div(exps, sums)
      save([p, wanted])
      return {
        value: tf.mul(tf.mean(tf.log(tf.sum(tf.mul(p, wanted), 1))), tf.scalar(-1)),
        gradFunc: (dy, [q, target]) => tf.mul(tf.sub(q, target), tf.div(dy, tf.scalar(positions))),
      }
    })(logits)
  const norm = (x: Tensor, weight: Tensor) => {
    const inverse = tf.rsqrt(tf.add(tf.mean(tf.square(x), 1, true), epsilon))
    return tf.mul(tf.mul(x, inverse), weight)
  }
  /** [B T, D] as [B, H, T, size] */
  const toHeads = (x: Tensor) =>
    tf.transpose(tf.reshape(x, [batch, length, heads, size]), [0, 2, 1, 3])
  const rotated = (x: Tensor) => {
    const [a, b] = tf.split(x, 2, 3)
    return tf.concat([
      tf.sub(tf.mul(a, cos), tf.mul(b, sin)),
      tf.add(tf.mul(b, cos), tf.mul(a, sin)),
    ], 3)
  }

  return (weights: ReadonlyMap<string, Tensor>, ids: Tensor, targets: Tensor): Tensor => {
    const embedding = weights.get("model.embed_tokens.weight")!
    let x = embed(embedding, ids)
    for (let layer = 0; layer < layers; layer++) {
      const of = (name: string) => weights.get(`model.layers.${layer}.${name}.weight`)!
      const project = (a: Tensor, name: string) => matMul(a, of(name))
      const h = norm(x, of("input_layernorm"))
      const [q, k, v] = ["q", "k", "v"].map((part) => toHeads(project(h, `self_attn.${part}_proj`)))
      const scores = tf.mul(matMul(rotated(q), tf.transpose(rotated(k), [0, 1, 3, 2])), scale)
      const mixed = matMul(tf.softmax(tf.add(scores, mask)), v)
      const joined = tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [positions, hidden])
      x = tf.add(x, project(joined, "self_attn.o_proj"))
      const m = norm(x, of("post_attention_layernorm"))
      const gate = project(m, "mlp.gate_proj")
      const inner = tf.mul(tf.mul(gate, tf.sigmoid(gate)), project(m, "mlp.up_proj"))
      x = tf.add(x, project(inner, "mlp.down_proj"))
    }
    const logits = matMul(norm(x, weights.get("model.norm.weight")!), tf.transpose(embedding))
    return crossEntropy(logits, targets)
  }
}

/** A weight, the way it is multiplied with, and AdamW's moments of it. */
interface Trained {
  readonly name: string
  readonly shape: number[]
  readonly values: Float32Array
  readonly first: Float32Array
  readonly second: Float32Array
}

function weightsOf(task: TrainingTask): Trained[] {
  const weights = firstWeights(task)
  return shapesOf(task).map(([name, [rows, columns]]) => {
    let values = weights.get(name)!
    let shape = columns === undefined ? [rows] : [rows, columns]
    if (name.endsWith("_proj.weight")) {
      values = values.map((_, i, all) => all[(i % rows) * columns + Math.floor(i / rows)])
      shape = [columns, rows]
    }
    const moment = () => new Float32Array(values.length)
    return { name, shape, values, first: moment(), second: moment() }
  })
}

/** Clips by the norm of all gradients and steps, in loops over typed arrays. */
function adamW(trained: Trained[], gradients: Float32Array[], step: number): void {
  const { learningRate, beta1, beta2, epsilon, decay, maxNorm } = optimizer
  let squares = 0
  for (const gradient of gradients) {
    for (let i = 0; i < gradient.length; i++) squares += gradient[i] * gradient[i]
  }
  const clip = Math.min(1, maxNorm / (Math.sqrt(squares) + 1e-6))
  const rate = learningRate / (1 - beta1 ** step)
  const correction = 1 / (1 - beta2 ** step)
  for (const [t, { values, first, second, shape }] of trained.entries()) {
    const gradient = gradients[t]
    const kept = shape.length > 1 ? 1 - learningRate * decay : 1
    for (let i = 0; i < values.length; i++) {
      const g = gradient[i] * clip
      const m = first[i] = beta1 * first[i] + (1 - beta1) * g
      const v = second[i] = beta2 * second[i] + (1 - beta2) * g * g
      values[i] = values[i] * kept - rate * m / (Math.sqrt(v * correction) + epsilon)
    }
  }
}

async function measure(tf: Tfjs, task: TrainingTask): Promise<TrainingFigures> {
  const loss = lossFunction(tf, task)
  const trained = weightsOf(task)
  const positions = task.batch * task.length
  const ms: number[] = []
  const losses: number[] = []
  for (let step = 0; step < task.warmUp + task.steps; step++) {
    const tokens = tokensOf(task, step)
    const start = performance.now()
    tf.tidy(() => {
      const column = (from: number) => {
        const width = task.length + 1
        const at = (_: unknown, i: number) =>
          tokens[Math.floor(i / task.length) * width + i % task.length + from]
        return tf.tensor(Int32Array.from({ length: positions }, at), [positions], "int32")
      }
      const [ids, targets] = [column(0), column(1)]
      const { value, grads } = tf.valueAndGrads((...tensors) =>
        loss(new Map(tensors.map((tensor, i) => [trained[i].name, tensor])), ids, targets)
      )(trained.map(({ values, shape }) => tf.tensor(values, shape)))
      adamW(trained, grads.map((gradient) => gradient.dataSync()), step + 1)
      losses.push(value.dataSync()[0])
    })
    ms.push(performance.now() - start)
  }
  const timed = ms.slice(task.warmUp)
  const msPerStep = median(timed)
  const tokensPerSecond = positions / msPerStep * 1e3
  const [simd, threaded] = await Promise.all(
    ["SIMD", "MULTITHREAD"].map((what) => tf.env().getAsync(`WASM_HAS_${what}_SUPPORT`)),
  )
  return {
    peer: `TensorFlow.js ${version}`,
    about: `WebAssembly, ${simd ? "" : "no "}SIMD, ${threaded ? "several threads" : "one thread"}`,
    ms: timed,
    msPerStep,
    tokensPerSecond,
    flopPerSecond: tokensPerSecond * flopPerToken(task),
    peakRssMB: peakRssMB(),
    losses,
  }
}

/** The highest since this program began; on Linux `maxRSS` also counts the one that started it. */
function peakRssMB(): number {
  const status = existsSync("/proc/self/status") ? readFileSync("/proc/self/status", "utf8") : ""
  const highest = status.match(/^VmHWM:\s+(\d+) kB/m)?.[1]
  if (highest !== undefined) return (Number(highest) * 1024) / 1e6
  const { maxRSS } = process.resourceUsage()
  return (maxRSS > 0 ? maxRSS * 1024 : process.memoryUsage().rss) / 1e6
}

if (import.meta.main) {
  const task: TrainingTask = JSON.parse(process.argv[2])
  const result = await loadTfjs().then((tf) => measure(tf, task), (error) => ({
    skipped: `TensorFlow.js cannot be installed: ${`${error?.message ?? error}`.split("\n")[0]}`,
  }))
  process.stdout.write(JSON.stringify(result) + "\n")
}
