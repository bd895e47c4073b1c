/** Token sets that may follow a text: a few likely tokens at its beginning, longer draws later on. */
import type { GuidedSequence } from "genarm/plugin"
import { drawFrom } from "./_draws.ts"
import { likeliest } from "./_likeliest.ts"
import { areEqual, type TokenSet } from "./_rain_tree.ts"
import { together } from "./_together.ts"

/** Tokens of the sets at each depth; those further down are as long as the last. */
const lengths = [1, 2, 4, 10]

/** Up to `count` sets that may follow, at a depth of the tree. */
export async function tokenSets(
  sequence: GuidedSequence,
  depth: number,
  count: number,
): Promise<TokenSet[]> {
  if (depth === 0) return await likelySets(sequence, count)
  const forks = Array.from({ length: count }, () => sequence.fork())
  const sets = await together(forks.map((fork, i) => write(fork, depth, i === 0)))
  for (const fork of forks) fork.close()
  return weighed(sets)
}

/** One set more at a depth, where there are `known`. */
export async function anotherSet(
  sequence: GuidedSequence,
  depth: number,
  known: number,
): Promise<TokenSet | undefined> {
  if (depth > 0) return await write(sequence, depth, false)
  return (await likelySets(sequence, known + 1))[known]
}

/** The single tokens that are the likeliest. */
async function likelySets(sequence: GuidedSequence, count: number): Promise<TokenSet[]> {
  const probabilities = new Float32Array(sequence.vocabularySize)
  sequence.probabilities(await sequence.evaluate(), probabilities)
  return likeliest(probabilities, count).filter((id) => probabilities[id] > 0)
    .map((id) => ({ ids: [id], chance: probabilities[id] }))
}

/** Goes on by a set of tokens, each the likeliest or drawn. */
async function write(
  sequence: GuidedSequence,
  depth: number,
  isGreedy: boolean,
): Promise<TokenSet> {
  const start = sequence.ids.length
  const most = lengths[Math.min(depth, lengths.length - 1)]
  const probabilities = new Float32Array(sequence.vocabularySize)
  let chance = 1
  while (sequence.ended === undefined && sequence.ids.length - start < most) {
    sequence.probabilities(await sequence.evaluate(), probabilities)
    const id = isGreedy
      ? likeliest(probabilities, 1)[0]
      : drawFrom(probabilities, sequence.random.nextUniform())
    chance *= probabilities[id]
    sequence.accept(id, Math.min(0, Math.log(probabilities[id])))
  }
  return { ids: sequence.ids.slice(start), chance }
}

/**
 * Sets that differ, the likeliest path before those that were drawn. A path's own probability is
 * taken as that of all draws together at most, and as that of the likeliest and the least likely of
 * them together at least.
 */
export function weighed([path, ...draws]: readonly TokenSet[]): TokenSet[] {
  const others = draws.filter(({ ids }, i) =>
    ![path, ...draws.slice(0, i)].some((other) => areEqual(other.ids, ids))
  )
  if (others.length === 0) return [path]
  const chances = others.map(({ chance }) => chance)
  const most = Math.min(path.chance, chances.reduce((a, b) => a + b))
  const chance = Math.max(most, Math.max(...chances) + Math.min(...chances))
  return [{ ids: path.ids, chance }, ...others]
}
