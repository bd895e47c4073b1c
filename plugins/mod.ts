/** The plugins that come with the SDK, written against its public entries only. */
import type { Plugins } from "genarm/plugin"
import { armPreference } from "./objectives/arm_preference.ts"
import { dpo } from "./objectives/dpo.ts"
import { nextToken } from "./objectives/next_token.ts"
import { arm } from "./rewards/arm.ts"
import { contrast } from "./rewards/contrast.ts"
import { logitBias } from "./rewards/logit_bias.ts"
import { prompted } from "./rewards/prompted.ts"
import { greedy } from "./samplers/greedy.ts"
import { sampling } from "./samplers/sampling.ts"
import { linear } from "./schedules/linear.ts"
import { phases } from "./schedules/phases.ts"
import { speculative } from "./strategies/speculative.ts"

export { armPreference, type ArmPreferenceOptions } from "./objectives/arm_preference.ts"
export { dpo, type DpoOptions } from "./objectives/dpo.ts"
export { nextToken } from "./objectives/next_token.ts"
export { arm, type ArmOptions } from "./rewards/arm.ts"
export { contrast, type ContrastOptions, type ContrastSide } from "./rewards/contrast.ts"
export { logitBias, type LogitBiasOptions } from "./rewards/logit_bias.ts"
export { prompted, type PromptedOptions } from "./rewards/prompted.ts"
export { greedy } from "./samplers/greedy.ts"
export { sampling, type SamplingOptions } from "./samplers/sampling.ts"
export { linear, type LinearOptions } from "./schedules/linear.ts"
export { live, type LiveWeight } from "./schedules/live.ts"
export { phases, type PhasesOptions } from "./schedules/phases.ts"
export {
  type DraftCosts,
  type DraftModel,
  speculative,
  type SpeculativeOptions,
} from "./strategies/speculative.ts"

/** The built-in plugins, as a registry. */
export const builtins: Plugins = {
  reward: [arm.definition, contrast.definition, logitBias.definition, prompted.definition],
  schedule: [linear.definition, phases.definition],
  sampler: [greedy.definition, sampling.definition],
  strategy: [speculative.definition],
  objective: [armPreference.definition, dpo.definition, nextToken.definition],
}
