/** Beams, and the likeliest tokens with which they go on. */
import { logSumExp } from "genarm/math"
import type { GuidedSequence } from "genarm/plugin"
import { likeliest } from "./_likeliest.ts"
import { together } from "./_together.ts"

/** A text under way. */
export interface Beam {
  readonly sequence: GuidedSequence
  /** The sum of the guided log-probabilities of its tokens. */
  readonly logProb: number
}

/** A token that may follow a beam. */
export interface Continuation {
  readonly beam: Beam
  readonly id: number
  /** The beam's log-probability with it. */
  readonly logProb: number
}

/**
 * The tokens that may follow, the likeliest of all beams first and of equals those of the first beam,
 * the lowest id before others; in turns of at least `count`, until there are no more.
 */
export async function* continuations(
  beams: readonly Beam[],
  count: number,
): AsyncGenerator<Continuation, void, void> {
  const rows = await together(beams.map(({ sequence }) => sequence.evaluate()))
  const normalizers = rows.map(logSumExp)
  for (let told = 0, most = count;; most *= 2) {
    const ranked = beams.flatMap((beam, i) =>
      likeliest(rows[i], most).map((id) => ({
        beam,
        id,
        logProb: beam.logProb + rows[i][id] - normalizers[i],
      }))
    ).sort((a, b) => b.logProb - a.logProb).slice(0, most)
    yield* ranked.slice(told)
    if (ranked.length < most) return
    told = most
  }
}

/** A beam with one token more, as a sequence of its own. */
export async function grow({ beam, id, logProb }: Continuation): Promise<Beam> {
  const sequence = beam.sequence.fork()
  await sequence.evaluate() // from what the models have given for the beam
  sequence.accept(id, 0)
  return { sequence, logProb }
}
