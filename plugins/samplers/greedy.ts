/** @module The likeliest token. */
import { argmax } from "genarm/math"
import { defineSampler, type SamplerPlugin } from "genarm/plugin"

/**
 * Always chooses the likeliest token; of equals the one with the lowest id.
 *
 * @example
 * ```ts
 * import { defineGraph, greedy } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * assertEquals(defineGraph({ base: "./models/base", sampler: greedy() }).sampler.plugin, "greedy")
 * ```
 */
export const greedy: SamplerPlugin = defineSampler({
  name: "greedy",
  open: () => {
    let chosen = -1
    return {
      sample: ({ scores }) => chosen = argmax(scores),
      logProbability: (id) => id === chosen ? 0 : -Infinity,
    }
  },
})
