/**
 * What surrounds a training: new models, tokenizers, data, and the types of `train`, which stands with
 * its objectives in the main entry.
 *
 * @module
 */
export { createModel, type NewModelSpec } from "./create_model.ts"
export type { PreferencePair, TokenPair } from "./data/pairs.ts"
export {
  type PkuPreference,
  type PreferenceFile,
  type PreferenceFormat,
  readPreferences,
  type ReadPreferencesOptions,
} from "./data/preferences.ts"
export {
  type Dropped,
  type DropReason,
  type PreferenceReport,
  printPreferenceReport,
} from "./data/preferences_report.ts"
export { type Split, splitHeldOut } from "./data/preferences_split.ts"
export {
  type TokenizedPreferences,
  tokenizePreferences,
  type TokenizePreferencesOptions,
} from "./data/preferences_tokens.ts"
export { type CorpusText, readTexts, type ReadTextsOptions } from "./data/texts.ts"
export type { Merge } from "./tokenizer/learn_merges.ts"
export { trainTokenizer } from "./tokenizer/train_tokenizer.ts"
export type {
  TokenizerOptions,
  TokenizerText,
  TrainedTokenizer,
} from "./tokenizer/train_tokenizer.ts"
export { writeTokenizer } from "./tokenizer/write_tokenizer.ts"
export type { ChatMessage, Tokenizer } from "../files/tokenizer.ts"
export { openTokenizer } from "../files/tokenizer.ts"
export type { FloatType } from "../files/write_safetensors.ts"
export { type LinearModule, linearModules } from "../llama/linear_modules.ts"
export type { DataRecord } from "./export/training_record.ts"
export type { LearningRateSchedule } from "./learning_rate.ts"
export type { TrainingRun, TrainOptions } from "./train.ts"
export type { AdapterSpec, OptimizerSpec, TrainSpec } from "./train_spec.ts"
export type { TrainingProgress } from "../files/progress.ts"
export type { DataFiles, Example, TrainingData } from "./training_data.ts"
export type { EvaluationEntry, LogEntry, TrainingEntry } from "./training_log.ts"
