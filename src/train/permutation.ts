/** The order of one pass over the data, by seed. */
import { randomStream } from "../math/random.ts"

/** A permutation of `0 .. count - 1` (Fisher-Yates), fixed by the seed and the number of the pass. */
export function permutation(
  count: number,
  seed: number,
  epoch: number,
): Uint32Array<ArrayBuffer> {
  // Consecutive seeds give unrelated streams; the odd factor keeps passes of neighbouring seeds apart.
  const random = randomStream((seed + Math.imul(epoch + 1, 0x9e3779b1)) >>> 0)
  const order = Uint32Array.from({ length: count }, (_, i) => i)
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random.nextUniform() * (i + 1))
    const held = order[i]
    order[i] = order[j]
    order[j] = held
  }
  return order
}
