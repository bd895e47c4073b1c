/** The objectives that come with the SDK, with options in which they behave differently. */
import { armPreference, dpo, nextToken } from "genarm"
import type { PluginNode } from "genarm/plugin"

/** By what tests call them. */
export const objectives: Readonly<Record<string, PluginNode<"objective">>> = {
  "armPreference": armPreference(),
  "armPreference with a margin": armPreference({ beta: 0.5, gamma: 0.3 }),
  "armPreference with a hinge": armPreference({ loss: "hinge" }),
  "armPreference of noisy labels": armPreference({ beta: 1, labelSmoothing: 0.2 }),
  "armPreference of means": armPreference({ beta: 2, lengthNormalization: true }),
  "dpo": dpo(),
  "dpo of noisy labels": dpo({ beta: 0.5, labelSmoothing: 0.1 }),
  "nextToken": nextToken(),
}
