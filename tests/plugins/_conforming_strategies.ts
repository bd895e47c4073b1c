/** The strategies that come with the SDK, with options in which they behave differently. */
import { beamSearch, bestOfN, cards, rain, reweighted, speculative } from "genarm"
import type { PluginNode } from "genarm/plugin"

const small = { model: "./small" }
const quick = { searches: 6, width: 3, ahead: 2 }
const judged = { by: "kind", target: 3, entropy: 2, least: 2, rejections: 4 }

/** By what tests call them. */
export const strategies: Readonly<Record<string, PluginNode<"strategy">>> = {
  "beamSearch": beamSearch(),
  "beamSearch of one beam": beamSearch({ beams: 1 }),
  "beamSearch of sums, ended early": beamSearch({
    beams: 3,
    lengthPenalty: 0,
    earlyStopping: true,
  }),
  "beamSearch that looks at all lengths": beamSearch({ beams: 2, earlyStopping: "never" }),
  "bestOfN by all rewards": bestOfN({ n: 4 }),
  "bestOfN by one": bestOfN({ n: 3, by: "kind" }),
  "bestOfN of one": bestOfN({ n: 1 }),
  "cards": cards({ ...judged, most: 4 }),
  "cards of strict thresholds": cards({ ...judged, beta: 0, uncertainty: "base" }),
  "cards without a second try": cards({ by: "kind", target: 3, rejections: 0, tokens: 5 }),
  "rain": rain({ by: "kind", range: [-1, 1], ...quick }),
  "rain by tokens": rain({ by: "kind", range: [-2, 2], perToken: true, ...quick, visits: 2 }),
  "rain that looks no further": rain({ by: "kind", range: [0, 1], ...quick, ahead: 0 }),
  "reweighted": reweighted({ particles: 5 }),
  "reweighted at each token": reweighted({ particles: 3, resample: 1 }),
  "reweighted particles that are kept": reweighted({ particles: 3, resample: 0 }),
  "speculative by lookup": speculative({ draft: "lookup", most: 4 }),
  "speculative by a model": speculative({ draft: small, costs: { draft: 0, verify: 0 } }),
  "speculative in turns": speculative({
    draft: small,
    alternate: true,
    costs: { draft: 0, verify: 0 },
  }),
}
