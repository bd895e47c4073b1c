import { assertEquals } from "@std/assert"
import { conformance } from "genarm/testing"
import { describe, it } from "node:test"
import { builtins } from "../../plugins/builtins.ts"
import { objectives } from "./_conforming_objectives.ts"
import { rewards } from "./_conforming_rewards.ts"
import { samplers } from "./_conforming_samplers.ts"
import { schedules } from "./_conforming_schedules.ts"
import { strategies } from "./_conforming_strategies.ts"

const nodes = { ...rewards, ...schedules, ...samplers, ...strategies, ...objectives }

for (const [label, node] of Object.entries(nodes)) {
  describe(label, () => {
    for (const { name, run } of conformance(node)) it(name, run)
  })
}

describe("the plugins that come with the SDK", () => {
  it("are all held to the contract of their kind", () => {
    const checked = new Set(Object.values(nodes).map(({ plugin }) => plugin))
    const names = Object.values(builtins).flat().map(({ name }: { name: string }) => name)
    assertEquals(names.filter((name) => !checked.has(name)), [])
  })
})
