/** Timing two sides of a comparison on a machine that is never quiet. */

/** Milliseconds, of which some are spent in the engine. */
export interface Span {
  readonly total: number
  readonly inEngine: number
}

/** Times of a text: until its first token, for each token after it, and for the whole. */
export interface TextTimes {
  readonly first: Span
  readonly each: Span
  readonly whole: Span
}

/** Times a text; `write` calls back after each token, `inEngine` tells the engine's time so far. */
export async function timeText(
  write: (onToken: () => void) => PromiseLike<unknown>,
  inEngine: () => number,
): Promise<TextTimes> {
  const now = (): Span => ({ total: performance.now(), inEngine: inEngine() })
  const start = now()
  let first = start
  let last = start
  let count = 0
  await write(() => {
    last = now()
    if (count++ === 0) first = last
  })
  return {
    first: between(start, first),
    each: between(first, last, count - 1),
    whole: between(start, now()),
  }
}

function between(from: Span, to: Span, parts = 1): Span {
  return { total: (to.total - from.total) / parts, inEngine: (to.inEngine - from.inEngine) / parts }
}

/**
 * Runs the sides in turn, so often as there are rounds and one more to warm up, each round beginning
 * with another side; gives the times by side and round.
 */
export async function interleave<A>(
  sides: readonly (() => Promise<A>)[],
  rounds: number,
): Promise<A[][]> {
  const times: A[][] = sides.map(() => [])
  for (let round = -1; round < rounds; round++) {
    for (let i = 0; i < sides.length; i++) {
      const side = (i + round + 1) % sides.length
      const time = await sides[side]()
      if (round >= 0) times[side].push(time)
    }
  }
  return times
}
