/**
 * TensorFlow.js with its WebAssembly backend: installed into a folder of its own, so that it is no
 * dependency of the project, and the part of its surface that the bench calls.
 */
import { createRequire } from "node:module"
import { join } from "node:path"
import { installPackages } from "./_install_packages.ts"

export const version = "4.22.0"

/** A tensor of the backend. */
export interface Tensor {
  readonly shape: number[]
  dataSync(): Float32Array
  dispose(): void
}

/** Keeps tensors for the gradient. */
type Save = (tensors: Tensor[]) => void

/** What a function with a gradient of its own gives back. */
interface WithGradient {
  readonly value: Tensor
  readonly gradFunc: (dy: Tensor, saved: Tensor[]) => Tensor | Tensor[]
}

/** What the bench uses of `@tensorflow/tfjs`. */
export interface Tfjs {
  setBackend(name: string): Promise<boolean>
  ready(): Promise<void>
  env(): { getAsync(flag: string): Promise<unknown> }
  tensor(values: ArrayLike<number>, shape: number[], type?: "float32" | "int32"): Tensor
  scalar(value: number): Tensor
  tidy<A>(body: () => A): A
  keep<A extends Tensor>(tensor: A): A
  customGrad<Inputs extends Tensor[]>(
    body: (...inputs: [...Inputs, Save]) => WithGradient,
  ): (...inputs: Inputs) => Tensor
  valueAndGrads(
    body: (...inputs: Tensor[]) => Tensor,
  ): (inputs: Tensor[]) => { value: Tensor; grads: Tensor[] }
  add(a: Tensor, b: Tensor): Tensor
  sub(a: Tensor, b: Tensor): Tensor
  mul(a: Tensor, b: Tensor): Tensor
  div(a: Tensor, b: Tensor): Tensor
  exp(a: Tensor): Tensor
  log(a: Tensor): Tensor
  rsqrt(a: Tensor): Tensor
  sigmoid(a: Tensor): Tensor
  softmax(a: Tensor): Tensor
  square(a: Tensor): Tensor
  sum(a: Tensor, axis?: number, keepDims?: boolean): Tensor
  mean(a: Tensor, axis?: number, keepDims?: boolean): Tensor
  max(a: Tensor, axis?: number, keepDims?: boolean): Tensor
  matMul(a: Tensor, b: Tensor): Tensor
  gather(table: Tensor, ids: Tensor): Tensor
  oneHot(ids: Tensor, depth: number): Tensor
  cast(a: Tensor, type: "float32"): Tensor
  reshape(a: Tensor, shape: number[]): Tensor
  transpose(a: Tensor, order?: number[]): Tensor
  split(a: Tensor, parts: number, axis: number): Tensor[]
  concat(parts: Tensor[], axis: number): Tensor
}

/** Installs it where that has not been done, and loads it; throws with the reason if it cannot. */
export async function loadTfjs(): Promise<Tfjs> {
  const packages = ["tfjs", "tfjs-backend-wasm"].map((name) => `@tensorflow/${name}@${version}`)
  const folder = await installPackages(`tfjs-${version}`, packages)
  const wasm = join(folder, "node_modules/@tensorflow/tfjs-backend-wasm/dist/")
  const require = createRequire(join(folder, "package.json"))
  const tf: Tfjs = require("@tensorflow/tfjs") // the core alone comes without gradients
  require("@tensorflow/tfjs-backend-wasm").setWasmPaths(wasm)
  if (!await tf.setBackend("wasm")) throw new Error("its WebAssembly backend does not start")
  await tf.ready()
  return tf
}
