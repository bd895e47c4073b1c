/** Which segments CARDS accepts: a threshold that rises along the text, and a chance below it. */
import { fastExp } from "genarm/math"

/** The line of thresholds. */
export interface Thresholds {
  /** The reward that a whole text is to have, r*. */
  readonly target: number
  /** The reward before the first token. */
  readonly start: number
  /** Where between those two the line begins: 0 at `start`, 1 at `target`. */
  readonly alpha: number
  /** Tokens after which it reaches `target`. */
  readonly tokens: number
}

/** The reward that a text of `length` tokens is held to: `min(r0 + length * (r* - r0) / tokens, r*)`. */
export function threshold({ target, start, alpha, tokens }: Thresholds, length: number): number {
  const first = (1 - alpha) * start + alpha * target
  return Math.min(first + length * (target - first) / tokens, target)
}

/** Whether a reward passes: with `min(1, e^((reward - threshold) / beta))`; always or never for 0. */
export function passes(reward: number, held: number, beta: number, uniform: number): boolean {
  return reward >= held || (beta > 0 && uniform < fastExp((reward - held) / beta))
}
