/** What the tests of all suites have in common: right plugins pass, and each check finds its faults. */
import { assertEquals } from "@std/assert"
import { conformance } from "genarm/testing"
import { describe, it } from "node:test"
import { failing } from "./_failing.ts"

type Plugin = Parameters<typeof conformance>[0]

/**
 * @param right Plugins of the kind, by what they are, that keep the contract.
 * @param mutants Plugins that break it, by the check that must find them and by what they do.
 */
export function itFindsWhatIsWrong(
  kind: string,
  right: Readonly<Record<string, Plugin>>,
  mutants: Readonly<Record<string, Readonly<Record<string, Plugin>>>>,
): void {
  for (const [label, plugin] of Object.entries(right)) {
    it(`finds nothing wrong with ${label}`, async () => {
      assertEquals(await failing(plugin), new Map())
    })
  }

  it(`has a ${kind} that fails each of its checks`, () => {
    const names = conformance(Object.values(right)[0]).map(({ name }) => name)
    assertEquals(Object.keys(mutants).sort(), [...names].sort())
  })

  for (const [check, plugins] of Object.entries(mutants)) {
    describe(`with "${check}"`, () => {
      for (const [fault, plugin] of Object.entries(plugins)) {
        it(`finds one that ${fault}, and nothing else`, async () => {
          const found = await failing(plugin)
          assertEquals([...found.keys()], [check], [...found.values()].join("\n"))
        })
      }
    })
  }
}
