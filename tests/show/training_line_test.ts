import { assert, assertEquals } from "@std/assert"
import { describe, it } from "node:test"
import { trainingLine } from "../../src/show/training_line.ts"

const step = {
  stage: "train",
  step: 120,
  steps: 600,
  loss: 1.8734,
  tokensPerSecond: 5321.4,
  secondsLeft: 240,
} as const

function terminal(columns: number, isTTY = true) {
  const writes: string[] = []
  const line = trainingLine({ isTTY, columns, write: (text: string) => writes.push(text) })
  return { line, writes, shown: () => writes.at(-1)?.replace("\r\x1b[K", "") }
}

describe("the line of a training", () => {
  it("shows steps, losses, accuracy, rate and the time left, as far as they are known", () => {
    const { line, shown } = terminal(120)
    line.report(step)
    assertEquals(shown(), "step 120/600  loss 1.873  5321 tokens/s  4 min left")
    line.report({ ...step, accuracy: 0.754, heldOutLoss: 1.9 })
    assertEquals(
      shown(),
      "step 120/600  loss 1.873  accuracy 75 %  held out 1.900  5321 tokens/s  4 min left",
    )
  })

  it("never wraps, which could not be overwritten, and erases itself", () => {
    const { line, writes, shown } = terminal(40)
    line.report(step)
    assertEquals(shown(), "step 120/600  loss 1.873  5321 tokens/s")
    line.done()
    line.done()
    assertEquals(writes.length, 2)
    assertEquals(shown(), "")
  })

  it("takes a width of 0 for an unknown one, as some terminals give it", () => {
    const { line, shown } = terminal(0)
    line.report(step)
    assertEquals(shown(), "step 120/600  loss 1.873  5321 tokens/s  4 min left")
  })

  it("shows downloads before the first step, and gives way to it", () => {
    const { line, shown } = terminal(120)
    const file = { stage: "download", model: "hub:org/name", file: "model.safetensors" } as const
    line.report({ ...file, loaded: 1e8, total: 2e8 })
    assert(shown()!.startsWith("model.safetensors"), shown())
    line.report(step)
    assert(shown()!.startsWith("step 120/600"), shown())
  })

  it("writes nothing where there is no terminal", () => {
    const { line, writes } = terminal(120, false)
    line.report(step)
    line.done()
    assertEquals(writes, [])
  })
})
