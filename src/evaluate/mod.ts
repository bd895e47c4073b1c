/**
 * What guidance did, measured: texts at several weights from one open pipeline, their rewards, any
 * further measures, the divergence from the base, variety and fluency, all with intervals; and the
 * trade-off between two of them.
 *
 * @module
 */
export { compareRows, type RowChange } from "./compare_rows.ts"
export { distinct, wordsOf } from "./distinct.ts"
export {
  bootstrap,
  type Estimate,
  type EstimateOptions,
  meanEstimate,
  pairedDifference,
  ratioEstimate,
} from "./estimate.ts"
export { evaluateGuidance } from "./evaluate_guidance.ts"
export { hypervolume, meanInnerProduct, paretoFront, type Point } from "./frontier.ts"
export {
  type FigureName,
  type GuidancePoint,
  guidancePoints,
  type GuidanceTable,
  guidanceTable,
  printEstimate,
} from "./guidance_table.ts"
export { shareEstimate } from "./share.ts"
export type {
  GuidanceOptions,
  GuidanceProgress,
  GuidanceRow,
  GuidedText,
  Measure,
} from "./types.ts"
export { type WinRate, winRate } from "./win_rate.ts"
