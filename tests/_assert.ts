/**
 * The assertions the tests use, under the names of `@std/assert`, over `node:assert/strict`: they
 * run on Deno and Bun with no registry but npm. One line of `deno.json` moves to the real package.
 */
import assertStrict from "node:assert/strict"

// `message as string`: the types of node:assert do not say that it takes undefined.
export function assert(condition: unknown, message?: string): asserts condition {
  assertStrict.ok(condition, message as string)
}

export function assertEquals<T>(actual: T, expected: T, message?: string): void {
  assertStrict.deepStrictEqual(actual, expected, message as string)
}

export function assertNotEquals<T>(actual: T, expected: T, message?: string): void {
  assertStrict.notDeepStrictEqual(actual, expected, message as string)
}

export function assertStrictEquals<T>(actual: T, expected: T, message?: string): void {
  assertStrict.strictEqual(actual, expected, message as string)
}

export function assertAlmostEquals(
  actual: number,
  expected: number,
  tolerance = 1e-7,
  message?: string,
): void {
  if (Object.is(actual, expected) || Math.abs(actual - expected) <= tolerance) return
  throw new assertStrict.AssertionError({
    message: message ?? `expected ${expected} within ${tolerance}, found ${actual}`,
    actual,
    expected,
  })
}

export function assertStringIncludes(actual: string, part: string, message?: string): void {
  assertStrict.ok(actual.includes(part), message ?? `expected "${part}" in: ${actual}`)
}

export function assertMatch(actual: string, pattern: RegExp, message?: string): void {
  assertStrict.match(actual, pattern, message as string)
}

export function assertInstanceOf<T>(
  actual: unknown,
  type: new (...args: never[]) => T,
  message?: string,
): asserts actual is T {
  assertStrict.ok(actual instanceof type, message ?? `expected an instance of ${type.name}`)
}

// deno-lint-ignore no-explicit-any -- any constructor of an error
type ErrorClass<E extends Error> = new (...args: any[]) => E

export function assertThrows<E extends Error>(
  body: () => unknown,
  type?: ErrorClass<E>,
  part = "",
): E {
  try {
    body()
  } catch (error) {
    return checkError(error, type, part)
  }
  throw new assertStrict.AssertionError({ message: "expected a throw, and nothing was thrown" })
}

export async function assertRejects<E extends Error>(
  body: () => PromiseLike<unknown>,
  type?: ErrorClass<E>,
  part = "",
): Promise<E> {
  try {
    await body()
  } catch (error) {
    return checkError(error, type, part)
  }
  throw new assertStrict.AssertionError({ message: "expected a rejection, and it was fulfilled" })
}

function checkError<E extends Error>(
  error: unknown,
  type: ErrorClass<E> | undefined,
  part: string,
): E {
  if (!(error instanceof Error)) throw new Error(`expected an Error, found ${String(error)}`)
  if (type !== undefined && !(error instanceof type)) throw error
  assertStringIncludes(error.message, part)
  return error as E
}
