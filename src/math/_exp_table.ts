const INVERSE_E = 0.36787944117144233

/**
 * `scale * e^(-k/steps)` for k = 0 to `nats * steps`, and one last entry 0.
 *
 * Multiplication and square root are rounded correctly by IEEE 754, so every engine builds the same
 * bits; `Math.exp` and `Math.pow` give no such promise. The relative error that piles up along the
 * products is under 1e-13. `steps` is a power of two.
 */
export function buildExpTable(steps: number, nats: number, scale: number): Float64Array {
  let step = INVERSE_E
  for (let width = steps; width > 1; width /= 2) step = Math.sqrt(step)
  const fine = new Float64Array(steps)
  for (let j = 0, power = 1; j < steps; j++, power *= step) fine[j] = scale * power

  const table = new Float64Array(nats * steps + 2)
  let coarse = 1
  for (let nat = 0; nat < nats; nat++, coarse *= INVERSE_E) {
    for (let j = 0; j < steps; j++) table[nat * steps + j] = coarse * fine[j]
  }
  table[nats * steps] = coarse * fine[0]
  return table
}
