/** The plugins that graphs may name without registration: all that come with the SDK. */
import type { Plugins } from "genarm/plugin"
import { armPreference } from "./objectives/arm_preference.ts"
import { dpo } from "./objectives/dpo.ts"
import { nextToken } from "./objectives/next_token.ts"
import { arm } from "./rewards/arm.ts"
import { contrast } from "./rewards/contrast.ts"
import { logitBias } from "./rewards/logit_bias.ts"
import { prompted } from "./rewards/prompted.ts"
import { constant } from "./rewards/constant.ts"
import { crossTokenizer } from "./rewards/cross_tokenizer.ts"
import { intersection } from "./rewards/intersection.ts"
import { length } from "./rewards/length.ts"
import { lexicon } from "./rewards/lexicon.ts"
import { mask } from "./rewards/mask.ts"
import { normalize } from "./rewards/normalize.ts"
import { pattern } from "./rewards/pattern.ts"
import { policyMixture } from "./rewards/policy_mixture.ts"
import { proxyTuning } from "./rewards/proxy_tuning.ts"
import { repetition } from "./rewards/repetition.ts"
import { scale } from "./rewards/scale.ts"
import { sum } from "./rewards/sum.ts"
import { union } from "./rewards/union.ts"
import { valueHead } from "./rewards/value_head.ts"
import { greedy } from "./samplers/greedy.ts"
import { gumbel } from "./samplers/gumbel.ts"
import { sampling } from "./samplers/sampling.ts"
import { cosine } from "./schedules/cosine.ts"
import { entropyGated } from "./schedules/entropy_gated.ts"
import { gated } from "./schedules/gated.ts"
import { klBudget } from "./schedules/kl_budget.ts"
import { linear } from "./schedules/linear.ts"
import { phases } from "./schedules/phases.ts"
import { tokenClass } from "./schedules/token_class.ts"
import { beamSearch } from "./strategies/beam_search.ts"
import { bestOfN } from "./strategies/best_of_n.ts"
import { cards } from "./strategies/cards.ts"
import { rain } from "./strategies/rain.ts"
import { reweighted } from "./strategies/reweighted.ts"
import { speculative } from "./strategies/speculative.ts"

/** The built-in plugins, as a registry. */
export const builtins: Plugins = {
  reward: [
    arm.definition,
    constant.definition,
    contrast.definition,
    crossTokenizer.definition,
    intersection.definition,
    length.definition,
    lexicon.definition,
    logitBias.definition,
    mask.definition,
    normalize.definition,
    pattern.definition,
    policyMixture.definition,
    prompted.definition,
    proxyTuning.definition,
    repetition.definition,
    scale.definition,
    sum.definition,
    union.definition,
    valueHead.definition,
  ],
  schedule: [
    cosine.definition,
    entropyGated.definition,
    gated.definition,
    klBudget.definition,
    linear.definition,
    phases.definition,
    tokenClass.definition,
  ],
  sampler: [greedy.definition, gumbel.definition, sampling.definition],
  strategy: [
    beamSearch.definition,
    bestOfN.definition,
    cards.definition,
    rain.definition,
    reweighted.definition,
    speculative.definition,
  ],
  objective: [armPreference.definition, dpo.definition, nextToken.definition],
}
