/** @module The likeliest token. */
import { areBelowInfinity, argmax } from "genarm/math"
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
      probabilities({ scores }, out) {
        chosen = argmax(scores)
        if (chosen < 0 || !areBelowInfinity(scores)) {
          throw new RangeError(
            "expected scores below Infinity with at least one above -Infinity, found NaN, Infinity " +
              "or only -Infinity: check the model's output and the ids you excluded",
          )
        }
        out.fill(0)
        out[chosen] = 1
      },
      logProbability: (id) => id === chosen ? 0 : -Infinity,
    }
  },
})
