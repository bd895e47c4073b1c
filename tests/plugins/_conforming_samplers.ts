/** The samplers that come with the SDK, with options in which they behave differently. */
import { greedy, gumbel, sampling, type SamplingOptions } from "genarm"
import type { PluginNode } from "genarm/plugin"

const shapes: Readonly<Record<string, SamplingOptions>> = {
  "": {},
  " at a low temperature": { temperature: 0.4 },
  " at a high temperature": { temperature: 3 },
  " by the convention of model arithmetic": {
    temperature: 0.9,
    temperatureConvention: "modelArithmetic",
  },
  " of one id": { topK: 1 },
  " of a few ids": { topK: 5 },
  " of a nucleus": { topP: 0.8 },
  " of what is not much less likely": { minP: 0.1 },
  " of what is typical": { typicalP: 0.7 },
  " against repetition": { repetitionPenalty: 1.5 },
  " for repetition": { repetitionPenalty: 0.7, temperature: 2 },
  " of all options": {
    repetitionPenalty: 1.2,
    temperature: 0.7,
    topK: 40,
    topP: 0.95,
    minP: 0.01,
    typicalP: 0.9,
  },
}

/** By what tests call them. */
export const samplers: Readonly<Record<string, PluginNode<"sampler">>> = {
  greedy: greedy(),
  ...Object.fromEntries(
    [sampling, gumbel].flatMap((plugin) =>
      Object.entries(shapes).map((
        [label, options],
      ) => [plugin.definition.name + label, plugin(options)])
    ),
  ),
}
