/** Which adapters change nothing that a cache holds. */
import type { LlamaAdapter, LowRank } from "./adapter.ts"
import type { LinearModule } from "./linear_modules.ts"

/** What keys and values of the last layer do not depend on. */
const afterKeys: ReadonlySet<string> = new Set<LinearModule>([
  "q_proj",
  "o_proj",
  "gate_proj",
  "up_proj",
  "down_proj",
])

/**
 * Whether keys and values of every layer are the same with the adapter as without. Then it changes,
 * at most, what the last layer makes of them: all else reaches the keys of a later layer.
 */
export function keepsCaches({ layers }: LlamaAdapter): boolean {
  return layers.every((modules, layer) =>
    Object.entries(modules).every(([module, lowRank]) =>
      lowRank === undefined || addsNothing(lowRank) ||
      (layer === layers.length - 1 && afterKeys.has(module))
    )
  )
}

/** An adapter that has not been trained yet has a B of zeros. */
function addsNothing({ a, b, scale }: LowRank): boolean {
  const isZero = (value: number) => value === 0
  return scale === 0 || a.every(isZero) || b.every(isZero)
}
