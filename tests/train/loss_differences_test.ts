import { assert } from "@std/assert"
import { describe, it } from "node:test"
import { armPreference, dpo, nextToken } from "genarm"
import { randomStream } from "genarm/math"
import { lowRankAdapter, type Trainable } from "../../src/train/trainable.ts"
import { batchOf, golden, openTrainable, pairBatchOf, withRunner } from "./_golden.ts"

const texts = batchOf(golden.next_token.tied.batch)
const pairs = pairBatchOf(golden.arm_preference.batch)

/** How far the weights are moved, as a vector. */
const step = 1 / 256

/**
 * Asserts that the loss changes along the gradient, and along random directions, as the gradient says.
 * All weights move at once.
 */
async function assertDirections(
  trainable: Trainable,
  objective: Parameters<typeof withRunner>[1],
  batch: typeof pairs,
): Promise<void> {
  const { values } = trainable
  const origin = Float32Array.from(values)
  await withRunner(trainable, objective, async (runner) => {
    const gradient = new Float32Array(values.length)
    await runner.accumulate(batch, gradient)
    const norm = Math.hypot(...gradient)
    assert(norm > 0.1, `the gradient's norm is ${norm}`)
    const lossAt = async (by: number, direction: Float32Array) => {
      origin.forEach((value, i) => values[i] = value + by * step * direction[i])
      return (await runner.evaluate(batch)).figures.loss
    }
    const random = randomStream(9)
    const side = 1 / Math.sqrt(values.length)
    const directions = [
      gradient.map((value) => value / norm),
      ...[1, 2, 3, 4].map(() => gradient.map(() => random.nextUniform() < 0.5 ? -side : side)),
    ]
    for (const direction of directions) {
      const expected = gradient.reduce((sum, value, i) => sum + value * direction[i], 0)
      const near = await lossAt(1, direction) - await lossAt(-1, direction)
      const far = await lossAt(2, direction) - await lossAt(-2, direction)
      const found = (8 * near - far) / (12 * step)
      assert(
        Math.abs(found - expected) <= 1e-3 * norm,
        `the gradient, of norm ${norm}, says ${expected}, the differences ${found}`,
      )
    }
  })
}

describe("the loss changes as its gradient says, in any direction", () => {
  for (const model of ["training_models/tied", "training_models/untied", "models/qwen3"]) {
    it(`nextToken, ${model}`, async () => {
      await assertDirections(await openTrainable(model), { plugin: nextToken }, texts)
    })
  }
  for (
    const options of [
      { beta: 0.5 },
      { beta: 0.5, gamma: 0.3, labelSmoothing: 0.2 },
      { beta: 2, lengthNormalization: true },
    ]
  ) {
    it(`armPreference, ${JSON.stringify(options)}`, async () => {
      const trainable = await openTrainable("training_models/tied")
      await assertDirections(trainable, { plugin: armPreference, options }, pairs)
    })
  }

  it("dpo, a reference apart", async () => {
    const reference = Float32Array.of(-30, -28, -29, -31, -27, -30)
    const trainable = await openTrainable("training_models/untied")
    await assertDirections(trainable, { plugin: dpo, options: { beta: 0.5 } }, {
      ...pairs,
      reference,
    })
  })

  it("armPreference, an adapter", async () => {
    const { config, values } = await openTrainable("training_models/tied")
    const shape = { rank: 2, alpha: 4, targets: ["k_proj", "o_proj", "up_proj"] } as const
    const trainable = lowRankAdapter(config, values, shape, 1)
    const random = randomStream(2)
    trainable.values.forEach((_, i) => trainable.values[i] = 0.6 * (random.nextUniform() - 0.5))
    const options = { beta: 1 }
    await assertDirections(trainable, { plugin: armPreference, options }, pairs)
  })
})
