/**
 * Sets of characters as ranges of code points: sorted, apart from each other, and without surrogates,
 * which no UTF-8 text holds.
 */

/** Ranges with both ends included. */
export type CodePoints = readonly (readonly [from: number, to: number])[]

/** Every character. */
export const anyCharacter: CodePoints = [[0, 0xd7ff], [0xe000, 0x10ffff]]

/** The union of ranges in any order, which may overlap. */
export function codePoints(ranges: CodePoints): CodePoints {
  const sorted = [...ranges].sort(([a], [b]) => a - b)
  const merged: [number, number][] = []
  for (const [from, to] of sorted) {
    const last = merged[merged.length - 1]
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to)
    else merged.push([from, to])
  }
  return intersection(merged, anyCharacter)
}

/** What both hold. */
export function intersection(a: CodePoints, b: CodePoints): CodePoints {
  const both: [number, number][] = []
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    const from = Math.max(a[i][0], b[j][0])
    const to = Math.min(a[i][1], b[j][1])
    if (from <= to) both.push([from, to])
    if (a[i][1] < b[j][1]) i++
    else j++
  }
  return both
}

/** Every character that the set does not hold. */
export function complement(points: CodePoints): CodePoints {
  const gaps: [number, number][] = []
  let next = 0
  for (const [from, to] of points) {
    if (from > next) gaps.push([next, from - 1])
    next = to + 1
  }
  gaps.push([next, 0x10ffff])
  return intersection(gaps, anyCharacter)
}

/** The characters of a text. */
export function charactersOf(text: string): CodePoints {
  return codePoints([...text].map((letter) => [letter.codePointAt(0)!, letter.codePointAt(0)!]))
}

/** Digits, as `\d` has them. */
export const digits: CodePoints = [[0x30, 0x39]]

/** Letters, digits and `_`, as `\w` has them. */
export const wordCharacters: CodePoints = [[0x30, 0x39], [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]]

/** What ends a line, which `.` leaves out. */
export const lineEnds: CodePoints = [[0x0a, 0x0a], [0x0d, 0x0d], [0x2028, 0x2029]]

/** White space, as `\s` has it. */
export const whiteSpace: CodePoints = codePoints([
  ...[[0x09, 0x0d], [0x20, 0x20], [0xa0, 0xa0], [0x1680, 0x1680], [0x2000, 0x200a]] as const,
  ...[[0x2028, 0x2029], [0x202f, 0x202f], [0x205f, 0x205f], [0x3000, 0x3000]] as const,
  [0xfeff, 0xfeff],
])

const properties = new Map<string, CodePoints>()

/**
 * The characters with a Unicode property, by the tables of the JavaScript engine: `Letter`, `Lu`,
 * `Script=Greek` ...; `undefined` where there is no such property.
 */
export function charactersWith(property: string): CodePoints | undefined {
  const known = properties.get(property)
  if (known !== undefined) return known
  if (!/^[A-Za-z0-9_]+(=[A-Za-z0-9_]+)?$/.test(property)) return undefined
  let test: RegExp
  try {
    test = new RegExp(`^\\p{${property}}$`, "u")
  } catch {
    return undefined
  }
  const ranges: [number, number][] = []
  for (const [from, to] of anyCharacter) {
    for (let point = from, isOpen = false; point <= to; point++) {
      const has = test.test(String.fromCodePoint(point))
      if (has && isOpen) ranges[ranges.length - 1][1] = point
      else if (has) ranges.push([point, point])
      isOpen = has
    }
  }
  properties.set(property, ranges)
  return ranges
}
