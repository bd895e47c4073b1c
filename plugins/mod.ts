/** The plugins that come with the SDK, written against its public entries only. */
export { armPreference, type ArmPreferenceOptions } from "./objectives/arm_preference.ts"
export { dpo, type DpoOptions } from "./objectives/dpo.ts"
export { nextToken } from "./objectives/next_token.ts"
export { arm, type ArmOptions } from "./rewards/arm.ts"
export {
  classifier,
  type ClassifierOptions,
  type ClassifyTexts,
  type LabelScore,
  type LabelScores,
} from "./rewards/classifier.ts"
export { constant, type ConstantOptions } from "./rewards/constant.ts"
export { contrast, type ContrastOptions, type ContrastSide } from "./rewards/contrast.ts"
export type { CombinedRewards } from "./rewards/_combine.ts"
export { crossTokenizer, type CrossTokenizerOptions } from "./rewards/cross_tokenizer.ts"
export { intersection } from "./rewards/intersection.ts"
export { length, type LengthOptions } from "./rewards/length.ts"
export { lexicon, type LexiconOptions } from "./rewards/lexicon.ts"
export { logitBias, type LogitBiasOptions } from "./rewards/logit_bias.ts"
export { mask, type MaskCondition, type MaskOptions } from "./rewards/mask.ts"
export { normalize, type NormalizeOptions } from "./rewards/normalize.ts"
export {
  pattern,
  type PatternJson,
  type PatternOptions,
  type PatternSchema,
} from "./rewards/pattern.ts"
export {
  type MixedPolicy,
  type PolicyDivergence,
  policyMixture,
  type PolicyMixtureOptions,
} from "./rewards/policy_mixture.ts"
export { prompted, type PromptedOptions } from "./rewards/prompted.ts"
export { proxyTuning, type ProxyTuningOptions } from "./rewards/proxy_tuning.ts"
export { repetition, type RepetitionOptions } from "./rewards/repetition.ts"
export { scale, type ScaleOptions } from "./rewards/scale.ts"
export {
  scorer,
  type ScorerOptions,
  type ScoreText,
  type ScoreTexts,
  type TextFunction,
  type TextRewardOptions,
} from "./rewards/scorer.ts"
export { sum } from "./rewards/sum.ts"
export { trajectory, type TrajectoryOptions } from "./rewards/trajectory.ts"
export { union } from "./rewards/union.ts"
export { valueHead, type ValueHeadOptions } from "./rewards/value_head.ts"
export { greedy } from "./samplers/greedy.ts"
export { gumbel } from "./samplers/gumbel.ts"
export { sampling, type SamplingOptions } from "./samplers/sampling.ts"
export { cosine, type CosineOptions } from "./schedules/cosine.ts"
export { entropyGated, type EntropyGatedOptions } from "./schedules/entropy_gated.ts"
export { type Gate, gated, type GatedOptions } from "./schedules/gated.ts"
export { klBudget, type KlBudgetOptions } from "./schedules/kl_budget.ts"
export { linear, type LinearOptions } from "./schedules/linear.ts"
export { live, type LiveReading, type LiveWeight } from "./schedules/live.ts"
export { phases, type PhasesOptions } from "./schedules/phases.ts"
export { type TokenClass, tokenClass, type TokenClassOptions } from "./schedules/token_class.ts"
export { type GatePair, trainGate, type TrainGateOptions } from "./schedules/train_gate.ts"
export { beamSearch, type BeamSearchOptions, type EarlyStopping } from "./strategies/beam_search.ts"
export { bestOfN, type BestOfNOptions } from "./strategies/best_of_n.ts"
export { cards, type CardsOptions } from "./strategies/cards.ts"
export { rain, type RainOptions } from "./strategies/rain.ts"
export { reweighted, type ReweightedOptions } from "./strategies/reweighted.ts"
export {
  type DraftCosts,
  type DraftModel,
  speculative,
  type SpeculativeOptions,
} from "./strategies/speculative.ts"
