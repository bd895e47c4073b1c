/** The schedules that come with the SDK, with options in which they behave differently. */
import { Effect, SubscriptionRef } from "effect"
import {
  cosine,
  entropyGated,
  gated,
  klBudget,
  linear,
  live,
  phases,
  tokenClass,
  trainGate,
} from "genarm"
import type { PluginNode } from "genarm/plugin"

const gate = trainGate([
  { prompt: "a proof", chosen: { exact: 1, kind: 0 }, rejected: { exact: 0, kind: 1 } },
  { prompt: "be kind", chosen: { exact: 0, kind: 1 }, rejected: { exact: 1, kind: 0 } },
])

/** By what tests call them. */
export const schedules: Readonly<Record<string, PluginNode<"schedule">>> = {
  linear: linear({ from: 1, to: -0.5, tokens: 7 }),
  "linear in one step": linear({ from: 2, to: 0, tokens: 1 }),
  "cosine over the text": cosine({ from: 0, to: 2 }),
  "cosine over some tokens": cosine({ from: 2, to: 0.5, tokens: 5 }),
  phases: phases({ phases: [{ weight: 1, tokens: 3 }, { weight: 0, tokens: 4 }, { weight: 2 }] }),
  "phases that end": phases({ phases: [{ weight: 1, tokens: 3 }, { weight: 0.5, tokens: 2 }] }),
  tokenClass: tokenClass({
    classes: [{ pattern: "^\\d", weight: 0 }, { pattern: "^ \\p{L}", weight: 2 }],
    otherwise: 0.5,
  }),
  "entropyGated above": entropyGated({ weight: 2, threshold: 3.5 }),
  "entropyGated below": entropyGated({ weight: 2, threshold: 3.5, when: "below" }),
  "entropyGated softly": entropyGated({ weight: 2, threshold: 3, softness: 0.3 }),
  "klBudget of each token": klBudget({ budget: 0.1, most: 5 }),
  "klBudget of the text": klBudget({ budget: 2, per: "sequence", most: 5 }),
  "klBudget of nothing": klBudget({ budget: 0, most: 5 }),
  "klBudget that never binds": klBudget({ budget: 1000, most: 1.5 }),
  gated: gated({ gate, term: "kind", scale: 2 }),
  live: live(0.7),
  "live in an Effect program": live(Effect.runSync(SubscriptionRef.make(0.7))),
}
