import { assert, assertEquals, assertRejects } from "@std/assert"
import { GenArmError, tableRuntime } from "genarm"
import { cpu } from "genarm/effect"
import { describe, it } from "node:test"
import { fixture, largestDifference } from "../_fixtures.ts"
import { expectedValues, valueHead } from "../_value_heads.ts"
import { openRuntime } from "./_open.ts"

describe("a model with a value head", () => {
  for (const beside of [false, true]) {
    it(`opens with its labels and tokenizer${beside ? ", in a worker too" : ""}`, async () => {
      await using runtime = await openRuntime(cpu)
      const ref = { model: fixture(valueHead("sentiment")) }
      const [model, close] = await runtime.open({ ref, beside })
      assertEquals(model.labels, ["negative", "neutral", "positive"])
      assertEquals([model.engine.width, model.tokenizer.size], [3, 300])
      assert(model.stepCost! > 0)
      const { ids, values } = expectedValues.sentiment
      const cache = model.engine.openCache()
      const [row] = await model.engine.forward([{ cache, tokens: ids, want: "last" }])
      assert(largestDifference(row, values[39]) < 1e-5)
      await close()
    })
  }

  it("is told from a language model, which has none", async () => {
    await using runtime = await openRuntime(cpu)
    const [model] = await runtime.open({ ref: { model: fixture("llama") } })
    assertEquals(["labels" in model, model.engine.width], [false, 300])
  })
})

describe("a written-down model with values", () => {
  const vocabulary = ["a", "b", "c"]
  const counts = (ids: readonly number[]) => [ids.length, 1 - ids.filter((id) => id === 1).length]

  it("gives them as they are, one for each label", async () => {
    const models = { counts: { vocabulary, values: counts, labels: ["length", "bs"], padding: 1 } }
    await using runtime = await openRuntime(tableRuntime(models))
    const [{ engine, labels, tokenizer }] = await runtime.open({ ref: { model: "counts" } })
    assertEquals(labels, ["length", "bs"])
    assertEquals([engine.width, engine.vocabularySize], [2, 4])
    const cache = engine.openCache()
    const tokens = tokenizer.encode("abba")
    const [all] = await engine.forward([{ cache, tokens, want: "all" }])
    assertEquals([...all], [1, 1, 2, 0, 3, -1, 4, -1])
    cache.truncate(2)
    const [last] = await engine.forward([{ cache, tokens: [2], want: "last" }])
    assertEquals([...last], [3, 0])
  })

  it("has one label where it names none", async () => {
    await using runtime = await openRuntime(
      tableRuntime({ one: { vocabulary, values: () => [0.5] } }),
    )
    const [{ engine, labels }] = await runtime.open({ ref: { model: "one" } })
    assertEquals([engine.width, labels], [1, ["LABEL_0"]])
  })

  for (
    const [what, values, tag, part] of [
      [
        "another number of values",
        () => [1, 2, 3],
        "EngineFailed",
        "gave 3 values: expected one for each label, 2",
      ],
      ["NaN", () => [1, NaN], "NonFiniteScores", "gave NaN as a value"],
      ["an infinity", () => [-Infinity, 1], "NonFiniteScores", "gave -Infinity as a value"],
      [
        "nothing, but throws",
        () => {
          throw new Error("no idea")
        },
        "EngineFailed",
        "failed: no idea",
      ],
    ] as const
  ) {
    it(`fails, and changes no cache, when it gives ${what}`, async () => {
      const models = { bad: { vocabulary, labels: ["x", "y"], values } }
      await using runtime = await openRuntime(tableRuntime(models))
      const [{ engine }] = await runtime.open({ ref: { model: "bad" } })
      const cache = engine.openCache()
      const asking = () => engine.forward([{ cache, tokens: [0, 1], want: "last" }])
      const error = await assertRejects(asking, GenArmError, part)
      assertEquals([error.reason._tag, cache.length], [tag, 0])
    })
  }
})
