import { assert, assertEquals, assertThrows } from "@std/assert"
import { describe, it } from "node:test"
import { armPreference, dpo, GenArmError, nextToken } from "genarm"
import type { ObjectivePlugin } from "genarm/plugin"
import { golden, openTrainable, pairBatchOf, withRunner } from "../train/_golden.ts"

async function figures(plugin: ObjectivePlugin<never>, options: unknown) {
  const trainable = await openTrainable("training_models/tied")
  const batch = {
    ...pairBatchOf(golden.arm_preference.batch),
    reference: Float32Array.of(-30, -28, -29, -31, -27, -30),
  }
  const objective = { plugin, options }
  return (await withRunner(trainable, objective, (runner) => runner.evaluate(batch))).figures
}

describe("objectives", () => {
  it("say what they are trained on", () => {
    assertEquals(
      [nextToken, armPreference, dpo].map(({ definition: { name, data } }) => [name, data]),
      [["nextToken", "texts"], ["armPreference", "pairs"], ["dpo", "pairs"]],
    )
  })

  it("have the defaults they are documented with", async () => {
    const arm = await figures(armPreference, armPreference().options)
    const explicit = {
      beta: 0.05,
      gamma: 0,
      loss: "sigmoid",
      labelSmoothing: 0,
      lengthNormalization: false,
    } as const
    assertEquals(arm, await figures(armPreference, armPreference(explicit).options))
    assert(arm.loss !== (await figures(armPreference, { beta: 0.1 })).loss)

    const direct = await figures(dpo, dpo().options)
    assertEquals(direct, await figures(dpo, dpo({ beta: 0.1, labelSmoothing: 0 }).options))
    assert(direct.loss !== (await figures(dpo, { beta: 0.2 })).loss)
  })

  it("refuse options that they have not, or that are out of range", () => {
    const wrong: [() => unknown, path: string][] = [
      [() => armPreference({ beta: 0 }), "beta"],
      [() => armPreference({ beta: NaN }), "beta"],
      [() => armPreference({ gamma: -1 }), "gamma"],
      [() => armPreference({ labelSmoothing: 0.5 }), "labelSmoothing"],
      [() => armPreference({ loss: "ipo" as never }), "loss"],
      [() => armPreference({ lengthNormalization: 1 as never }), "lengthNormalization"],
      [() => armPreference({ beta_r: 0.05 } as never), "beta_r"],
      [() => dpo({ beta: -0.1 }), "beta"],
      [() => dpo({ labelSmoothing: 1 }), "labelSmoothing"],
      [() => dpo({ gamma: 1 } as never), "gamma"],
      [() => nextToken({ beta: 1 } as never), "beta"],
    ]
    for (const [create, option] of wrong) {
      const { reason } = assertThrows(create, GenArmError)
      assertEquals(reason, { _tag: "InvalidOption", path: [option] })
    }
  })

  it("refuse a margin or smoothing that a hinge has no place for", () => {
    for (const options of [{ gamma: 0.1 }, { labelSmoothing: 0.1 }]) {
      const create = () => armPreference({ loss: "hinge", ...options })
      assertThrows(create, GenArmError, "with the sigmoid loss only")
    }
    assertEquals(armPreference({ loss: "hinge", gamma: 0 }).plugin, "armPreference")
  })
})
