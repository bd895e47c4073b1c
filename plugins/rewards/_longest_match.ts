/**
 * Texts of which some go on from others: what each is worth where none of the others follows. A byte-level
 * model gives "a" all that begins with an a; a base that has a token "and" writes "a" only where no "nd"
 * follows.
 */

/** The least share that a text keeps: what rows of float32 tell apart from nothing. */
const leastShare = 2 ** -20

/**
 * Takes from the probability of each text that of the texts that go on from it.
 *
 * @param texts Ids.
 * @param totals Their natural-log probabilities.
 * @returns Natural-log probabilities, at most `totals`.
 */
export function longestMatches(
  texts: readonly (readonly number[])[],
  totals: readonly number[],
): number[] {
  // Each id with its end, so that 1 begins "1 2" and not "12".
  const keys = texts.map((ids) => ids.map((id) => `${id} `).join(""))
  const totalOf = new Map(keys.map((key, i) => [key, totals[i]]))
  const shareOf = new Map(keys.map((key) => [key, 1]))
  // In this order a text follows what it goes on from, with nothing but other such texts between.
  const open: string[] = []
  for (const key of [...shareOf.keys()].sort()) {
    while (open.length > 0 && !key.startsWith(open[open.length - 1])) open.pop()
    const parent = open.at(-1)
    open.push(key)
    const total = totalOf.get(key)!
    if (parent === undefined || total === -Infinity) continue
    shareOf.set(parent, shareOf.get(parent)! - Math.exp(total - totalOf.get(parent)!))
  }
  return totals.map((total, i) => total + Math.log(Math.max(shareOf.get(keys[i])!, leastShare)))
}
