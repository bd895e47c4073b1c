import { assert, assertEquals, assertRejects } from "@std/assert"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, it } from "node:test"
import { createModel, GenArmError, nextToken, openPipeline } from "genarm"
import { temporaryFolder } from "../files/_altered.ts"
import { fixture } from "../_fixtures.ts"
import { run, texts, weightsOf, withOut } from "./_training.ts"

const sizes = {
  tokenizer: fixture("llama"),
  hiddenSize: 32,
  layers: 2,
  heads: 4,
  keyValueHeads: 2,
  contextLength: 64,
}

describe("a new model", () => {
  it("opens, knows nothing, and learns", () =>
    withOut(async (out) => {
      const fresh = join(out, "..", "fresh")
      const count = await createModel({ out: fresh, ...sizes })
      const tensors = weightsOf(fresh)
      assert(!("lm_head.weight" in tensors), "the head is tied")
      const bytes = Object.values(tensors).reduce((sum, text) => sum + atob(text).length, 0)
      assertEquals(bytes, 4 * count)
      const result = await run({
        base: fresh,
        objective: nextToken(),
        data: texts(40),
        heldOut: texts(10, 7),
        batch: 8,
        tokens: 32,
        steps: 30,
        optimizer: { learningRate: 1e-2 },
        out,
      })
      // Chance, among 300 entries.
      assert(Math.abs(result.before.loss - Math.log(300)) < 0.1, `${result.before.loss}`)
      assert(result.heldOut.loss < 3, `${result.heldOut.loss}`)
      await using pipeline = await openPipeline({ base: out })
      assert((await pipeline.generate("The", { maxTokens: 8, seed: 1 })).ids.length > 0)
    }))

  it("is the same for the same seed, and has a head of its own where asked", () =>
    withOut(async (out) => {
      const untied = { ...sizes, tiedHead: false, intermediateSize: 48 }
      await createModel({ out: `${out}1`, ...untied, seed: 4 })
      await createModel({ out: `${out}2`, ...untied, seed: 4 })
      await createModel({ out: `${out}3`, ...untied, seed: 5 })
      assertEquals(weightsOf(`${out}1`), weightsOf(`${out}2`))
      assert("lm_head.weight" in weightsOf(`${out}1`))
      const [one, other] = [weightsOf(`${out}1`), weightsOf(`${out}3`)]
      assert(one["lm_head.weight"] !== other["lm_head.weight"])
    }))

  it("replaces a new one, and nothing that was learnt", () =>
    withOut(async (out) => {
      await createModel({ out, ...sizes })
      await createModel({ out, ...sizes, seed: 1 })
      const weights = weightsOf(out)
      writeFileSync(join(out, "training_log.jsonl"), "")
      const again = () => createModel({ out, ...sizes })
      const error = await assertRejects(again, GenArmError, "what was learnt there")
      assertEquals(error.reason, { _tag: "InvalidOption", path: ["out"] })
      assertEquals(weightsOf(out), weights)
    }))

  it("is refused where its sizes do not fit together, with the place", () =>
    withOut(async (out) => {
      const faults = [
        [{ hiddenSize: 0 }, ["hiddenSize"]],
        [{ layers: 1.5 }, ["layers"]],
        [{ tokenizer: "" }, ["tokenizer"]],
        [{ seed: -1 }, ["seed"]],
        [{ width: 3 }, ["width"]],
      ] as const
      for (const [change, path] of faults) {
        const error = await assertRejects(
          () => createModel({ out, ...sizes, ...change } as never),
          GenArmError,
        )
        assertEquals(error.reason, { _tag: "InvalidOption", path: [...path] })
      }
      for (const change of [{ heads: 5, keyValueHeads: 5 }, { keyValueHeads: 3 }]) {
        const error = await assertRejects(() => createModel({ out, ...sizes, ...change }))
        assert(error instanceof GenArmError, `${error}`)
      }
    }))

  it("needs a tokenizer, and a place that can be written", async () => {
    using folder = temporaryFolder()
    const out = join(folder.path, "out")
    const none = await assertRejects(
      () => createModel({ ...sizes, out, tokenizer: folder.path }),
      GenArmError,
    )
    assertEquals(none.reason._tag, "InvalidModelFile")
    writeFileSync(out, "")
    const blocked = await assertRejects(() => createModel({ ...sizes, out }), GenArmError)
    assertEquals(blocked.reason._tag, "WriteFailed")
  })
})
