/**
 * An engine that costs what a real one costs and says what is known beforehand: it runs the model and
 * replaces the log-probabilities. So a draft is accepted as often as a bench wants it to be.
 */
import type { Engine, Row } from "../src/engine/engine.ts"

/** Writes the natural-log probabilities `[vocabulary]` after so many tokens. */
export type Distribution = (tokens: number, out: Float32Array) => void

/** Wraps an engine. */
export function withDistribution(engine: Engine, distribution: Distribution): Engine {
  const rewrite = (row: Row, length: number, result: Float32Array) => {
    const size = engine.vocabularySize
    const count = result.length / size
    for (let i = 0; i < count; i++) {
      const tokens = length + row.tokens.length - count + i + 1
      distribution(tokens, result.subarray(i * size, (i + 1) * size))
    }
  }
  return {
    name: engine.name,
    vocabularySize: engine.vocabularySize,
    width: engine.width,
    contextLength: engine.contextLength,
    openCache: (adapter) => engine.openCache(adapter),
    async forward(rows) {
      const lengths = rows.map(({ cache }) => cache.length)
      const results = await engine.forward(rows)
      results.forEach((result, i) => rewrite(rows[i], lengths[i], result))
      return results
    },
    close: () => engine.close(),
  }
}

/** Ids that share all probability at one place of a text. */
const kept = 16

/**
 * Two distributions over the same ids, all below `vocabulary`: an even one, and one by which the even one is wrong to `1 -
 * acceptance` (in total variation), so that a draft from it is accepted with this probability.
 */
export function pairOf(
  acceptance: number,
  vocabulary: number,
): { even: Distribution; tilted: Distribution } {
  const tilt = 2 * (1 - acceptance)
  const write = (tilt: number): Distribution => (tokens, out) => {
    out.fill(-Infinity)
    for (let i = 0; i < kept; i++) {
      // Other ids at each place, so that no text repeats itself.
      const id = (Math.imul(tokens * kept + i, 0x9e3779b1) >>> 0) % vocabulary
      out[id] = Math.log((1 + (i % 2 === 0 ? tilt : -tilt)) / kept)
    }
  }
  return { even: write(0), tilted: write(tilt) }
}
