/** Our side of the decoding bench: a pipeline, used as anybody uses one. */
import { arm, defineGraph, greedy, openPipeline, sampling } from "genarm"
import { type DecodePeer, threadsOf, TokenClock } from "./_decode_task.ts"

/** What our side opens. */
export interface GenarmTask {
  readonly base: string
  /** The reward: an adapter on the base, or a model of its own; absent for unguided texts. */
  readonly arm?: { readonly adapter: string } | { readonly model: string }
  readonly precision: "f32" | "q4"
  readonly threads: number
  /** Draws each token; chooses the likeliest where absent. */
  readonly sampled?: boolean
}

/** Opens a pipeline. */
export async function openGenarm(task: GenarmTask): Promise<DecodePeer> {
  const { precision: weights, threads } = task
  const graph = defineGraph({
    base: { model: task.base, weights },
    ...task.arm && { rewards: { arm: { reward: arm({ ...task.arm, weights }), weight: 1 } } },
    sampler: task.sampled ? sampling() : greedy(),
  })
  const pipeline = await openPipeline(graph, { threads })
  return {
    about: threadsOf(threads),
    async write({ prompt, tokens }) {
      const clock = new TokenClock()
      const options = { maxTokens: tokens, seed: 1 }
      for await (const { id } of pipeline.stream(prompt, options)) clock.token(id)
      return clock.text()
    },
    close: () => pipeline.close(),
  }
}
