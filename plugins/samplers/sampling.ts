/** @module Drawing from the guided distribution. */
import { defineSampler, type SamplerPlugin } from "genarm/plugin"
import { openShaped, type SamplingOptions, samplingOptions } from "./_shaped.ts"
export type { SamplingOptions } from "./_shaped.ts"

/**
 * Draws the next token from `softmax((base + sum of weighted rewards) / temperature)`, truncated as
 * asked. With a seed it draws the same tokens on every machine that computes the same scores.
 *
 * @example
 * ```ts
 * import { defineGraph, sampling } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const graph = defineGraph({ base: "./models/base", sampler: sampling({ temperature: 0.8, topP: 0.9 }) })
 * assertEquals(graph.sampler.plugin, "sampling")
 * ```
 */
export const sampling: SamplerPlugin<SamplingOptions> = defineSampler({
  name: "sampling",
  options: samplingOptions,
  open: (options, sequence) =>
    openShaped(
      { name: "sampling", options, sequence },
      (distribution, random) => distribution.draw(random.nextUniform()),
    ),
})
