/**
 * A set of characters as bytes: which first bytes, and which may follow each. Sets that go on alike
 * share what follows, so that a class of a thousand ranges is a few dozen nodes.
 */
import type { CodePoints } from "./_code_points.ts"

/** Bytes that may come next, and what follows them; `undefined` where the character is whole. */
export type ByteTree = readonly {
  readonly from: number
  readonly to: number
  readonly next: ByteTree | undefined
}[]

/** Characters of one to four bytes: the first of them, one after the last, and their first byte. */
const lengths = [
  { from: 0, to: 0x80, lead: 0 },
  { from: 0x80, to: 0x800, lead: 0xc0 },
  { from: 0x800, to: 0x10000, lead: 0xe0 },
  { from: 0x10000, to: 0x110000, lead: 0xf0 },
] as const

const trees = new WeakMap<CodePoints, ByteTree>()

/** The bytes of the characters of a set. */
export function byteTree(points: CodePoints): ByteTree {
  const known = trees.get(points)
  if (known !== undefined) return known
  const shared = new Map<string, ByteTree>()
  const names = new Map<ByteTree, number>()
  const share = (tree: ByteTree): ByteTree => {
    const key = tree.map(({ from, to, next }) => `${from}-${to}:${next && names.get(next)}`).join()
    const same = shared.get(key)
    if (same !== undefined) return same
    shared.set(key, tree)
    names.set(tree, names.size)
    return tree
  }
  const root = lengths.flatMap(({ from, to, lead }, following) =>
    branches(within(points, from, to, 0), following, lead, share)
  )
  trees.set(points, root)
  return root
}

/** The part of the set from `from` to before `to`, counted from `origin`. */
function within(points: CodePoints, from: number, to: number, origin: number): CodePoints {
  return points.filter(([first, last]) => last >= from && first < to)
    .map(([first, last]) => [Math.max(first, from) - origin, Math.min(last, to - 1) - origin])
}

/** `lead` plus the upper bits of each number; the lower ones are `following` bytes of six bits. */
function branches(
  points: CodePoints,
  following: number,
  lead: number,
  share: (tree: ByteTree) => ByteTree,
): ByteTree {
  if (following === 0) {
    return points.map(([from, to]) => ({ from: lead + from, to: lead + to, next: undefined }))
  }
  const size = 64 ** following
  const found: { from: number; to: number; next: ByteTree }[] = []
  if (points.length === 0) return found
  const last = Math.floor(points[points.length - 1][1] / size)
  for (let upper = Math.floor(points[0][0] / size); upper <= last; upper++) {
    const inside = within(points, upper * size, (upper + 1) * size, upper * size)
    if (inside.length === 0) continue
    const isFull = inside[0][0] === 0 && inside[0][1] === size - 1
    const next = isFull
      ? anything(following - 1, share)
      : share(branches(inside, following - 1, 0x80, share))
    const before = found[found.length - 1]
    const byte = lead + upper
    if (before !== undefined && before.next === next && before.to === byte - 1) before.to = byte
    else found.push({ from: byte, to: byte, next })
  }
  return found
}

/** All that may go on a character: one byte, and `following` more. */
function anything(following: number, share: (tree: ByteTree) => ByteTree): ByteTree {
  return share([{
    from: 0x80,
    to: 0xbf,
    next: following === 0 ? undefined : anything(following - 1, share),
  }])
}
