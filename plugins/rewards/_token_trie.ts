/**
 * The tokens of a vocabulary as a tree of their bytes, laid out in the order of a walk: what one
 * automaton refuses is passed over with all that begins the same.
 */
import { bytesOf, type TokenBytes } from "./_token_bytes.ts"

/** A tree of bytes; nodes are numbered in the order of a walk, and the root has no number. */
export interface TokenTrie {
  /** `[nodes]` */
  readonly bytes: Uint8Array
  /** `[nodes]`: bytes before this one. */
  readonly depths: Uint16Array
  /** `[nodes]`: the first node that does not begin as this one does. */
  readonly ends: Int32Array
  /** `[nodes + 1]`: where the ids of each node begin in `ids`. */
  readonly firstIds: Int32Array
  readonly ids: Int32Array
  /** Bytes of the longest token. */
  readonly depth: number
  /** `[256]`: whether a token is this byte and no more. */
  readonly isToken: Uint8Array
}

/**
 * Builds the tree.
 *
 * @param except Ids that are left out, as those without text are.
 */
export function tokenTrie(tokens: TokenBytes, except: readonly number[]): TokenTrie {
  const out = new Set(except)
  const ids = Int32Array.from({ length: tokens.count }, (_, id) => id)
    .filter((id) => tokens.starts[id] < tokens.starts[id + 1] && !out.has(id))
  const texts = Array.from({ length: tokens.count }, (_, id) => bytesOf(tokens, id))
  ids.sort((a, b) => compare(texts[a], texts[b]) || a - b)

  const bytes: number[] = []
  const depths: number[] = []
  const firstIds: number[] = []
  const ends: number[] = []
  const open: number[] = []
  const isToken = new Uint8Array(256)
  let depth = 0
  let before: Uint8Array = new Uint8Array(0)
  const close = (level: number) => {
    while (open.length > level) ends[open.pop()!] = bytes.length
  }
  ids.forEach((id, i) => {
    const text = texts[id]
    let same = 0
    while (same < before.length && same < text.length && before[same] === text[same]) same++
    close(same)
    for (let level = same; level < text.length; level++) {
      open.push(bytes.length)
      depths.push(level)
      bytes.push(text[level])
      // The ids of a node are those that end in it: none before the last byte.
      firstIds.push(i)
    }
    if (text.length === 1) isToken[text[0]] = 1
    depth = Math.max(depth, text.length)
    before = text
  })
  close(0)
  firstIds.push(ids.length)
  return {
    bytes: Uint8Array.from(bytes),
    depths: Uint16Array.from(depths),
    ends: Int32Array.from(ends),
    firstIds: Int32Array.from(firstIds),
    ids,
    depth,
    isToken,
  }
}

function compare(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i] - b[i]
  return a.length - b.length
}
