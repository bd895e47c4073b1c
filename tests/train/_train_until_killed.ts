/** A program that trains and says each step, to be killed on the way; how it fails, it says as well. */
import process from "node:process"
import { armPreference, GenArmError } from "genarm"
import { base, pairs, run } from "./_training.ts"

/** What it trains; every step leaves a checkpoint. */
export const killable = {
  base,
  objective: armPreference({ beta: 0.2 }),
  data: pairs(24),
  heldOut: 0.25,
  batch: 4,
  tokens: 64,
  steps: 24,
  checkpointEvery: 1,
  evaluate: { every: 5, patience: 10 },
} as const

if (process.argv[2] !== undefined) {
  await run({ ...killable, out: process.argv[2] }, {
    onProgress: (progress) => {
      if (progress.stage === "train") process.stdout.write(`${progress.step}\n`)
    },
  }).catch((error) => {
    if (!(error instanceof GenArmError)) throw error
    process.stdout.write(JSON.stringify(error.reason) + "\n")
  })
}
