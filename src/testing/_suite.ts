/**
 * Checks as tests. A check that builds on others says nothing where one of those fails: a fault shows
 * once, under the name of what it breaks first.
 */
import { AssertionError } from "node:assert"
import { messageOf } from "../errors.ts"
import type { ConformanceTest } from "./conformance.ts"

/** One thing that a plugin must do, and what must hold for it to be asked. */
export interface Check {
  /** A sentence, of which the plugin is the subject. */
  readonly name: string
  /** Checks that it builds on. */
  readonly needs?: readonly Check[]
  /** Throws what is wrong. */
  readonly run: () => void | Promise<void>
}

/** The tests of a plugin; each check runs once, however many build on it. */
export function testsOf(plugin: string, checks: readonly Check[]): ConformanceTest[] {
  const results = new Map<Check, Promise<void>>()
  const failing = async ({ needs = [] }: Check): Promise<boolean> => {
    for (const need of needs) {
      if (await failing(need)) return true
      if (await resultOf(need).then(() => false, () => true)) return true
    }
    return false
  }
  const resultOf = (check: Check): Promise<void> => {
    const known = results.get(check)
    if (known !== undefined) return known
    const result = (async () => {
      if (!await failing(check)) await check.run()
    })()
    results.set(check, result)
    return result
  }
  return checks.map((check) => ({
    name: check.name,
    run: async () => {
      try {
        await resultOf(check)
      } catch (error) {
        throw asAssertion(plugin, error)
      }
    },
  }))
}

/** Whatever a plugin throws breaks a promise of its contract. */
function asAssertion(plugin: string, error: unknown): AssertionError {
  if (error instanceof AssertionError) return error
  const message = messageOf(error)
  const failed = new AssertionError({
    message: message.includes(`"${plugin}"`) ? message : `"${plugin}" failed: ${message}`,
  })
  return Object.assign(failed, { cause: error })
}

/** Fails with what was expected, what was found, and what to do. */
export function fail(message: string): never {
  throw new AssertionError({ message })
}
