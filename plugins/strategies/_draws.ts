/** Draws that speculative sampling makes from probabilities over a vocabulary. */

/** The first id whose cumulative probability exceeds `uniform` of the whole. */
export function drawFrom(probabilities: Float32Array, uniform: number): number {
  return drawWeighted(probabilities.length, (id) => probabilities[id], uniform)
}

/**
 * A draw from what the target has beyond the draft, `max(0, target - draft)`, normalised: what makes
 * rejection exact. A draft without probabilities is certain of `proposed`.
 */
export function drawRest(
  target: Float32Array,
  draft: Float32Array | undefined,
  proposed: number,
  uniform: number,
): number {
  const rest = draft === undefined
    ? (id: number) => id === proposed ? 0 : target[id]
    : (id: number) => Math.max(0, target[id] - draft[id])
  const id = drawWeighted(target.length, rest, uniform)
  // Equal distributions reject by rounding only, and leave nothing.
  return id >= 0 ? id : drawFrom(target, uniform)
}

function drawWeighted(size: number, weight: (id: number) => number, uniform: number): number {
  let total = 0
  for (let id = 0; id < size; id++) total += weight(id)
  let rest = uniform * total
  let last = -1
  for (let id = 0; id < size; id++) {
    const mass = weight(id)
    if (mass === 0) continue
    last = id
    if (rest < mass) break
    rest -= mass
  }
  return last
}
