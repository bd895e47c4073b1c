import { assertEquals, assertRejects } from "@std/assert"
import { describe, it } from "node:test"
import type { Engine } from "../../src/engine/engine.ts"
import { GenArmError } from "../../src/errors.ts"
import { fixture } from "../_fixtures.ts"
import { altered, encodeSafetensors, float32, tensorsOf } from "../files/_altered.ts"
import { open, openBeside } from "./_engines.ts"

/** The fixture `llama` with one number of one tensor changed. */
function damaged(name: string, index: number, value: number) {
  const tensors = tensorsOf("llama")
  const { shape, data } = tensors[name]
  const values = new Float32Array(data.buffer)
  values[index] = value
  return altered("llama", {
    "model.safetensors": encodeSafetensors({ ...tensors, [name]: float32(shape, values) }),
  })
}

const forward = (engine: Engine) =>
  engine.forward([{ cache: engine.openCache(), tokens: [5, 6, 7], want: "all" }])

describe("weights", () => {
  // One id in the middle of the head is NaN alone; all others are numbers until the softmax.
  for (
    const [where, name, index] of [
      ["the head", "lm_head.weight", 150 * 32 + 3],
      ["a norm", "model.norm.weight", 31],
      ["a layer", "model.layers.1.mlp.down_proj.weight", 17],
    ] as const
  ) {
    for (const value of [NaN, Infinity, -Infinity]) {
      for (const openAny of [open, openBeside]) {
        const place = openAny === open ? "here" : "in a worker"
        it(`with ${value} in ${where} give NonFiniteScores ${place}, and harm no other engine`, async () => {
          using folder = damaged(name, index, value)
          const [engine, sound] = await Promise.all([openAny(folder.path), open(fixture("llama"))])
          const [before] = await forward(sound)
          const failing = assertRejects(() => forward(engine), GenArmError, "damaged, or overflow")
          const [[beside], error] = await Promise.all([forward(sound), failing])
          assertEquals(error.reason, { _tag: "NonFiniteScores", term: "tiny" })
          assertEquals(beside, before)
          await engine.close()
          assertEquals(await forward(sound), [before])
          await sound.close()
        })
      }
    }
  }
})
