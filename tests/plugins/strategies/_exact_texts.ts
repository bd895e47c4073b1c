/**
 * The distribution over whole texts, by enumeration: every text that can be written, with the product
 * of the probabilities of its tokens. Written without the SDK, to hold sampled texts to.
 */
import type { Rule } from "./_rules.ts"

/** How tokens are drawn. */
export interface Drawing {
  readonly temperature?: number
  readonly topK?: number
  readonly topP?: number
}

/** Probabilities of the next token from weights. */
export function drawnWith(
  weights: readonly number[],
  { temperature = 1, topK = weights.length, topP = 1 }: Drawing,
): number[] {
  const powers = weights.map((weight) => weight ** (1 / temperature))
  const order = [...powers.keys()].sort((a, b) => powers[b] - powers[a] || a - b).slice(0, topK)
  const kept = order.reduce((sum, id) => sum + powers[id], 0)
  const out = weights.map(() => 0)
  let sum = 0
  for (const id of order) {
    if (sum >= topP * kept) break
    sum += powers[id]
    out[id] = powers[id]
  }
  return out.map((power) => power / sum)
}

/** What is written: from a prompt to an end token or the limit. */
export interface Writing {
  readonly rule: Rule
  readonly drawing: Drawing
  readonly prompt: readonly number[]
  readonly eos: number
  readonly maxTokens: number
}

/** The probability of each text, by its ids joined by spaces. */
export function exactTexts(
  { rule, drawing, prompt, eos, maxTokens }: Writing,
): Map<string, number> {
  const texts = new Map<string, number>()
  const grow = (ids: readonly number[], probability: number) => {
    if (ids.at(-1) === eos || ids.length === maxTokens) {
      texts.set(ids.join(" "), probability)
      return
    }
    drawnWith(rule([...prompt, ...ids]), drawing).forEach((next, id) => {
      if (next > 0) grow([...ids, id], probability * next)
    })
  }
  grow([], 1)
  return texts
}

/**
 * How far counts are from probabilities, as a normal deviate: Pearson's chi-square with the few-count
 * cells put together, by the Wilson-Hilferty approximation. 3.72 is exceeded once in 10,000 times.
 */
export function deviation(
  texts: readonly string[],
  probabilities: ReadonlyMap<string, number>,
): number {
  const counts = new Map<string, number>()
  for (const text of texts) {
    if (!probabilities.has(text)) return Infinity
    counts.set(text, (counts.get(text) ?? 0) + 1)
  }
  const cells: { expected: number; found: number }[] = []
  const few = { expected: 0, found: 0 }
  for (const [text, probability] of probabilities) {
    const expected = probability * texts.length
    const found = counts.get(text) ?? 0
    if (expected >= 8) cells.push({ expected, found })
    else {
      few.expected += expected
      few.found += found
    }
  }
  if (few.expected >= 8) cells.push(few)
  else if (few.found > 20) return Infinity
  const square = cells.reduce(
    (sum, { expected, found }) => sum + (found - expected) ** 2 / expected,
    0,
  )
  const degrees = cells.length - 1
  const spread = 2 / (9 * degrees)
  return (Math.cbrt(square / degrees) - (1 - spread)) / Math.sqrt(spread)
}
