/** Comparing texts token by token. */
import type { Generation } from "../decode/types.ts"
import { fail } from "./_suite.ts"

/** Fails where two texts differ, or what was in force when they were written. */
export function checkSameText(
  what: string,
  found: Generation,
  expected: Generation,
  remedy: string,
): void {
  const end = Math.max(found.ids.length, expected.ids.length)
  for (let at = 0; at < end; at++) {
    const [one, two] = [describe(found, at), describe(expected, at)]
    if (one !== two) fail(`${what}: token ${at} was ${one}, expected ${two}: ${remedy}`)
  }
}

/** A token with what decided it, to so many digits as engines agree in. */
function describe({ tokens }: Generation, at: number): string {
  const token = tokens.at(at)
  if (token === undefined) return "none"
  const weights = Object.entries(token.weights)
    .filter(([name]) => name !== "goesOn") // the suites' own, always the same
    .map(([name, weight]) => `, weight of ${name} ${weight.toPrecision(4)}`)
  const { sampled } = token.logprob
  return `id ${token.id} (log-probability ${sampled.toFixed(3)}${weights.join("")})`
}
