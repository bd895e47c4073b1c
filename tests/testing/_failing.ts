/** What a suite finds wrong with a plugin. */
import { AssertionError } from "node:assert"
import { assert } from "@std/assert"
import { conformance, type ConformanceOptions } from "genarm/testing"

/** The names of the checks that fail, with what they say. */
export async function failing(
  plugin: Parameters<typeof conformance>[0],
  options: ConformanceOptions = {},
): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const { name, run } of conformance(plugin, options)) {
    try {
      await run()
    } catch (error) {
      assert(error instanceof AssertionError, `${name}: ${error}`)
      found.set(name, error.message)
    }
  }
  return found
}
