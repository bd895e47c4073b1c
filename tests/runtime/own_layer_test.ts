import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert"
import { Effect, Layer } from "effect"
import { arm, defineGraph, GenArmError, greedy, openPipeline, tableRuntime } from "genarm"
import { type Engine, type EngineCache, type OpenModel, Runtime } from "genarm/effect"
import { describe, it } from "node:test"
import { openRuntime } from "./_open.ts"

/** A cache of nothing but a length: the engine below looks at the last token only. */
class LengthCache implements EngineCache {
  length = 0
  fork(): EngineCache {
    return Object.assign(new LengthCache(), { length: this.length })
  }
  truncate(length: number): void {
    this.length = length
  }
  close(): void {}
}

/** Counts upwards from the last token, written by somebody who knows only the public types. */
const counting: Engine = {
  name: "counting",
  vocabularySize: 4,
  width: 4,
  contextLength: 100,
  openCache: () => new LengthCache(),
  forward: (rows) =>
    Promise.resolve(rows.map(({ cache, tokens, want }) => {
      const ids = want === "all" ? Array.from(tokens) : [tokens[tokens.length - 1]]
      ;(cache as LengthCache).length += tokens.length
      return Float32Array.from(
        ids.flatMap((id) =>
          [0, 1, 2, 3].map((next) => Math.log(next === (id + 1) % 4 ? 0.97 : 0.01))
        ),
      )
    })),
  close: () => Promise.resolve(),
}

describe("a runtime of one's own", () => {
  it("runs graphs", async () => {
    await using tables = await openRuntime(
      tableRuntime({ letters: { vocabulary: ["a", "b", "c", "d"], next: () => [1, 0, 0, 0] } }),
    )
    const [{ tokenizer }] = await tables.open({ ref: { model: "letters" } })
    const asked: string[] = []
    const layer = Layer.succeed(
      Runtime,
      Runtime.of({
        name: "own",
        open: ({ ref }) => {
          asked.push(ref.model)
          if (ref.model === "missing") {
            return Effect.fail(
              new GenArmError({ _tag: "ModelNotFound", model: "missing" }, "not one of mine"),
            )
          }
          const model: OpenModel = { engine: counting, tokenizer, eos: [] }
          return Effect.succeed(model)
        },
      }),
    )
    const graph = defineGraph({
      base: "one",
      rewards: { same: { reward: arm({ model: "two" }), weight: 1 } },
      sampler: greedy(),
    })
    await using pipeline = await openPipeline(graph, { runtime: layer })
    const generation = await pipeline.generate("ab", { maxTokens: 5 })
    assertEquals(generation.text, "cdabc")
    assert(Math.abs(generation.tokens[0].rewards.same - Math.log(0.97)) < 1e-6)
    assertEquals(asked, ["one", "two"])

    const adapted = () =>
      openPipeline({ base: { model: "one", adapter: "./a" } }, { runtime: layer })
    const unable = await assertRejects(adapted, GenArmError, "the runtime own opened one without")
    assertEquals(unable.reason, { _tag: "UnsupportedModel", model: "one" })

    const missing = () => openPipeline(defineGraph({ base: "missing" }), { runtime: layer })
    const error = await assertRejects(missing, GenArmError, "not one of mine")
    assertEquals(error.reason, { _tag: "ModelNotFound", model: "missing" })
  })
})

describe("the table runtime", () => {
  it("gives the same model to all who ask, and names what it has to others", async () => {
    const table = { vocabulary: ["a", "b"], next: () => [0.25, 0.75] }
    await using runtime = await openRuntime(tableRuntime({ a: table, b: table }))
    const [[first], [second], [other]] = await Promise.all(
      ["a", "a", "b"].map((model) => runtime.open({ ref: { model } })),
    )
    assert(first.engine === second.engine && first.engine !== other.engine)
    const error = await assertRejects(
      () => runtime.open({ ref: { model: "toString" } }),
      GenArmError,
      "it has a, b",
    )
    assertEquals(error.reason, { _tag: "ModelNotFound", model: "toString" })
  })

  it("refuses adapters, and so does its engine", async () => {
    const table = { vocabulary: ["a"], next: () => [1] }
    await using runtime = await openRuntime(tableRuntime({ a: table }))
    const refused = [
      { ref: { model: "a", adapter: "./x" } },
      { ref: { model: "a" }, adapters: ["./x"] },
    ]
    for (const request of refused) {
      const error = await assertRejects(() => runtime.open(request), GenArmError, '"./x"')
      assertEquals(error.reason, { _tag: "UnsupportedModel", model: "a" })
    }
    const [{ engine }] = await runtime.open({ ref: { model: "a" } })
    assertThrows(() => engine.openCache("./x"), GenArmError, "without adapters")
  })
})
