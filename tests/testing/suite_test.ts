import { AssertionError } from "node:assert"
import { assertEquals, assertRejects, assertThrows } from "@std/assert"
import { arm, constant, GenArmError, tableRuntime } from "genarm"
import { defineReward } from "genarm/plugin"
import { conformance } from "genarm/testing"
import { describe, it } from "node:test"
import { testsOf } from "../../src/testing/_suite.ts"
import { failing } from "./_failing.ts"

describe("conformance", () => {
  it("takes a node, and a plugin that needs no options", async () => {
    const zero = defineReward({ name: "zero", open: () => ({ score: (_, out) => out.fill(0) }) })
    assertEquals(await failing(zero), new Map())
    assertEquals(await failing(zero()), new Map())
    assertEquals(
      conformance(zero).map(({ name }) => name),
      conformance(zero()).map(({ name }) => name),
    )
  })

  it("refuses what is no plugin, says so of data, and asks for options that are missing", () => {
    const refused = (plugin: unknown, options?: unknown) => {
      const error = assertThrows(() => conformance(plugin as never, options as never), GenArmError)
      assertEquals(error.reason._tag, "InvalidOption")
      return error.message
    }
    refused("arm")
    assertEquals(refused({ plugin: "arm", options: {} }).includes("data"), true)
    assertEquals(refused(constant).includes("value"), true)
    assertEquals(refused(constant({ value: 1 }), { seeds: 1 }).includes("seeds"), true)
  })

  it("runs a plugin in a runtime and on a base of one's own", async () => {
    const said: number[] = []
    const next = (ids: readonly number[]) => {
      said.push(ids[0])
      return [3, 1 + ids.length % 2, 2, 0.1]
    }
    const vocabulary = ["a", "b", "c", "<end>"]
    const models = {
      mine: { vocabulary, next, eos: [3] },
      other: { vocabulary, next: () => [1, 1, 4, 0.1], eos: [3] },
    }
    const options = { runtime: tableRuntime(models), base: "mine", prompt: "cab" }
    assertEquals(await failing(arm({ model: "other" }), options), new Map())
    assertEquals(new Set(said), new Set([2]))
    const found = await failing(arm({ model: "absent" }), options)
    assertEquals(found.size, 1)
    assertEquals([...found.values()][0].includes('no model "absent"'), true)
  })
})

describe("checks that build on others", () => {
  const broken = { name: "breaks", run: () => Promise.reject(new Error("it is broken")) }

  it("say nothing where one of those fails, however far below", async () => {
    const ran: string[] = []
    const above = { name: "above", needs: [broken], run: () => void ran.push("above") }
    const top = { name: "top", needs: [above], run: () => void ran.push("top") }
    const beside = { name: "beside", run: () => void ran.push("beside") }
    const tests = testsOf("mine", [broken, above, top, beside])
    for (const { name, run } of tests) {
      if (name !== "breaks") await run()
    }
    assertEquals(ran, ["beside"])
  })

  it("run once, and fail each time that they are asked, with an AssertionError that names the plugin", async () => {
    let runs = 0
    const check = { name: "counts", run: () => Promise.reject(new Error(`run ${++runs}`)) }
    const [{ run }] = testsOf("mine", [check])
    for (let i = 0; i < 2; i++) {
      const error = await assertRejects(run, AssertionError)
      assertEquals(error.message, '"mine" failed: run 1')
    }
  })
})
