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
  Candidates,
  Promised,
  RewardDefinition,
  RewardPlugin,
  RewardSource,
  RewardState,
  SequenceInfo,
  TextModel,
  WrittenTokens,
} from "./reward.ts"
export { defineSampler } from "./sampler.ts"
export type {
  SamplerDefinition,
  SamplerPlugin,
  SamplerSequence,
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
export { rewardParts } from "./reward_parts.ts"
export type { OpenRewardParts, RewardParts } from "./reward_parts.ts"
export { nodeSchema } from "./node_schema.ts"
export { definition, transient } from "./node.ts"
export type { NoOptions, PluginDefinition, PluginFactory, PluginKind, PluginNode } from "./node.ts"
export { withPlugins } from "./registry.ts"
export type { AnyPlugin, Plugins } from "./registry.ts"
export { GenArmError } from "../errors.ts"
export type { GenArmReason } from "../errors.ts"
