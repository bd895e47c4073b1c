/** Language modelling. */
import { defineObjective, type ObjectivePlugin } from "genarm/plugin"
import { negate } from "genarm/onnx"

/**
 * Trains a language model on texts: the mean cross-entropy of each next token, in nats.
 *
 * @example
 * ```ts
 * import { nextToken } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * assertEquals(nextToken().plugin, "nextToken")
 * ```
 */
export const nextToken: ObjectivePlugin = defineObjective({
  name: "nextToken",
  data: "texts",
  loss: (_, { logProbs, mean }) => ({ loss: mean(negate(logProbs)) }),
})
