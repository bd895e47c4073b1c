/**
 * Writing plugins: rewards, schedules, samplers, strategies and training objectives as object literals.
 *
 * @module
 */
export { defineObjective } from "./objective.ts"
export type {
  ObjectiveDefinition,
  ObjectiveLoss,
  ObjectivePlugin,
  ObjectiveRows,
  PairBatch,
  PairObjective,
  PairRows,
  TextBatch,
  TextObjective,
} from "./objective.ts"
export { defineReward } from "./reward.ts"
export type {
  RewardDefinition,
  RewardPlugin,
  RewardSource,
  RewardState,
  SequenceInfo,
} from "./reward.ts"
export { defineSampler } from "./sampler.ts"
export type {
  SamplerDefinition,
  SamplerPlugin,
  SamplerState,
  SamplerStep,
  Uniforms,
} from "./sampler.ts"
export { defineSchedule } from "./schedule.ts"
export type { ScheduleDefinition, SchedulePlugin, ScheduleState, ScheduleStep } from "./schedule.ts"
export { defineStrategy } from "./strategy.ts"
export type {
  GuidedSequence,
  PreviewModels,
  SequenceModel,
  StrategyDefinition,
  StrategyPlugin,
} from "./strategy.ts"
export { definition, transient } from "./node.ts"
export type { NoOptions, PluginDefinition, PluginFactory, PluginKind, PluginNode } from "./node.ts"
export type { Plugins } from "./registry.ts"
export { GenArmError } from "../errors.ts"
export type { GenArmReason } from "../errors.ts"
