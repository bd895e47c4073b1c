/** Small trainings: made-up texts and preferences with a rule that can be learnt. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { randomStream } from "genarm/math"
import { train, type TrainingRun, type TrainOptions, type TrainSpec } from "genarm"
import type { PreferencePair } from "genarm/train"
import { decodeSafetensors, temporaryFolder } from "../files/_altered.ts"
import { fixture } from "../_fixtures.ts"

/** A model of a few thousand weights. */
export const base: string = fixture("llama")

const subjects = ["The cat", "A dog", "My bird", "The fox", "One fish", "The old king"]
const verbs = ["sees", "likes", "finds", "has"]
const things = ["a red ball", "the sun", "a big tree", "some bread", "the sea"]

function drawer(seed: number): <T>(from: readonly T[]) => T {
  const random = randomStream(seed)
  return (from) => from[Math.floor(random.nextUniform() * from.length)]
}

/** Sentences of a few words. */
export function texts(count: number, seed = 1): string[] {
  const draw = drawer(seed)
  return Array.from({ length: count }, () => `${draw(subjects)} ${draw(verbs)} ${draw(things)}.`)
}

/** Of two endings, the one that is glad is preferred. */
export function pairs(count: number, seed = 2): PreferencePair[] {
  const draw = drawer(seed)
  return Array.from({ length: count }, (_, i) => ({
    // The number keeps prompts apart, so that a share of them can be held out.
    prompt: `${i}. ${draw(subjects)} ${draw(verbs)} ${draw(things)}`,
    chosen: ` and is ${draw(["glad", "so glad", "glad again"])}.`,
    rejected: ` and is ${draw(["sad", "so sad", "sad again"])}.`,
  }))
}

/** One thread: sums of small batches take no more. */
export function run(spec: TrainSpec, options: TrainOptions = {}): Promise<TrainingRun> {
  return train(spec, { threads: 1, onProgress: () => {}, ...options })
}

/** Calls `body` with the path of a folder that is gone afterwards; it is yet to be made. */
export async function withOut<A>(body: (out: string) => Promise<A>): Promise<A> {
  using folder = temporaryFolder()
  return await body(join(folder.path, "out"))
}

/** The weights of a folder, as bytes by name. */
export function weightsOf(folder: string, file = "model.safetensors"): Record<string, string> {
  const tensors = decodeSafetensors(readFileSync(join(folder, file)))
  return Object.fromEntries(
    Object.entries(tensors).map(([name, { data }]) => [name, Buffer.from(data).toString("base64")]),
  )
}

/** Runs a training until it has reported `step`, and ends it by its signal. */
export async function interruptAt(step: number, spec: TrainSpec): Promise<unknown> {
  const stop = new AbortController()
  return await run(spec, {
    signal: stop.signal,
    onProgress: (progress) => {
      if (progress.stage === "train" && progress.step === step) stop.abort(new Error("enough"))
    },
  }).then(() => undefined, (error) => error)
}
