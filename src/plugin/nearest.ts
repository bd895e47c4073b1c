/** The name that was probably meant: the nearest by edit distance, for messages. */

/**
 * The known name with the fewest insertions, deletions, replacements and swaps of neighbours between
 * it and `name` (optimal string alignment, case aside); none where all are further than a third of
 * the letters away.
 */
export function nearest(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined
  let least = Math.max(1, Math.floor(name.length / 3)) + 1
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase())
    if (distance < least) {
      best = candidate
      least = distance
    }
  }
  return best
}

/** `did you mean "arm"?` in the given brackets; nothing where no known name is near. */
export function hint(name: string, known: readonly string[], before = "", after = ""): string {
  const near = nearest(name, known)
  return near === undefined || near === name
    ? ""
    : `${before}did you mean ${JSON.stringify(near)}?${after}`
}

function editDistance(a: string, b: string): number {
  // Rows of the table: of the letter before the last, the last, and this one.
  let older: number[] = []
  let old = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = old[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)
      row[j] = Math.min(replaced, old[j] + 1, row[j - 1] + 1)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        row[j] = Math.min(row[j], older[j - 2] + 1)
      }
    }
    older = old
    old = row
  }
  return old[b.length]
}
