/**
 * The arithmetic of reward-guided decoding over one row of scores `[vocab]`: mixing, normalising,
 * truncating and drawing, natural logarithms and nats throughout.
 *
 * Every decision, which id is greatest, cut or drawn, has the same answer on every JavaScript
 * engine: the loops run as WebAssembly vectors where those are to be had, and as plain loops of the
 * same result, to the last bit, elsewhere. With the arrays of a `TokenWorkspace` calls allocate
 * nothing.
 *
 * @example Draw one token of GenARM (arXiv 2410.08193) with one reward model of weight 1
 * ```ts
 * import { mixInto, randomStream, TokenDistribution } from "genarm/math"
 * import { assertAlmostEquals, assertEquals } from "@std/assert"
 *
 * const base = Float32Array.of(0.5, 0.3, 0.2).map(Math.log)
 * const reward = Float32Array.of(0.2, 0.2, 0.6).map(Math.log)
 * const scores = new Float32Array(3)
 * mixInto(base, [reward], [1], scores)
 *
 * const distribution = new TokenDistribution(3).set(scores, { temperature: 1 })
 * assertAlmostEquals(Math.exp(distribution.logProbability(2)), 3 / 7, 1e-6)
 * assertEquals(distribution.draw(randomStream(7).nextUniform()) < 3, true)
 * ```
 *
 * @module
 */

export { areBelowInfinity } from "./are_below_infinity.ts"
export { argmax } from "./argmax.ts"
export { entropy, klDivergence } from "./divergence.ts"
export { fastExp } from "./exp.ts"
export { gumbelMax } from "./gumbel_max.ts"
export { fastLog } from "./log.ts"
export { logSoftmaxAt, logSoftmaxInto } from "./log_softmax.ts"
export { logSumExp } from "./log_sum_exp.ts"
export { mixInto } from "./mix.ts"
export { penalizeRepeats } from "./repetition_penalty.ts"
export { drawSeed, RandomStream, randomStream } from "./random.ts"
export { TokenDistribution } from "./token_distribution.ts"
export { TokenWorkspace } from "./token_workspace.ts"
export { checkTruncation, type Truncation } from "./truncation.ts"
