/** The decode loop: forward, mix, choose, tell; one token each time it is asked for one. */
import { randomStream } from "../math/random.ts"
import { aborted, GenArmError } from "../errors.ts"
import type { SamplerState } from "../plugin/sampler.ts"
import { guard } from "./guard.ts"
import type { OpenGraph } from "./open_graph.ts"
import type { Request } from "./request.ts"
import { closeQuietly, Sequence } from "./sequence.ts"
import { StopMatcher } from "./stop_matcher.ts"
import { TextStream } from "./text_stream.ts"
import { topTokens } from "./top_tokens.ts"
import type { Generation, Prompt, TokenEvent } from "./types.ts"

/** Ends sequences from outside, between two steps. */
export interface Cancellation {
  /** Why sequences must end; none while they may go on. */
  readonly error: GenArmError | undefined
  /** Calls back when they must. */
  add(stop: () => void): void
  delete(stop: () => void): void
}

/** Writes a text token by token. The caches are freed when it ends, however it ends. */
export async function* generate(
  graph: OpenGraph,
  prompt: Prompt,
  request: Request,
  cancellation: Cancellation,
): AsyncGenerator<TokenEvent, Generation, void> {
  const { signal, seed, trace } = request
  const ids: number[] = []
  const tokens: TokenEvent[] = []
  let text = ""
  const finish = (stopReason: Generation["stopReason"]): Generation => ({
    text,
    ids,
    tokens,
    stopReason,
    seed,
  })
  const checkCancelled = () => {
    if (cancellation.error !== undefined) throw cancellation.error
    if (signal?.aborted) throw aborted(signal, { text, ids, tokens, seed })
  }
  checkCancelled()
  const { tokenizer, eos } = graph.base.model
  const sequence = Sequence.open(graph, prompt, request.weights)
  // An abort frees memory at once, even if nobody asks for another token.
  const stop = () => closeQuietly(sequence)
  signal?.addEventListener("abort", stop)
  cancellation.add(stop)
  try {
    const sampler = guard(
      graph.sampler.name,
      () =>
        graph.sampler.open(graph.graph.sampler.options, { vocabularySize: sequence.scores.length }),
    )
    const random = randomStream(seed)
    const stream = new TextStream(tokenizer, sequence.promptIds)
    const stops = new StopMatcher(request.stop)
    const limit = Math.min(request.maxTokens, sequence.runs.room)
    while (true) {
      checkCancelled()
      try {
        await sequence.runs.forward()
      } finally {
        checkCancelled()
      }
      sequence.evaluate(request.maxTokens)
      const id = choose(graph, sequence, sampler, random)
      const measured = measure(graph, sequence, sampler, id, trace)
      ids.push(id)

      const isEnd = eos.includes(id)
      const piece = stops.push(isEnd ? stream.flush() : stream.push(id))
      const isLast = isEnd || piece.stopped || ids.length >= limit
      let told = piece.text
      let stopped = piece.stopped
      if (isLast && !stopped) {
        const rest = stops.push(isEnd ? "" : stream.flush())
        told += rest.text
        stopped = rest.stopped
        if (!stopped) told += stops.flush()
      }
      text += told
      const event: TokenEvent = { id, text: told, ...measured }
      if (trace !== "none") tokens.push(event)
      if (!isLast) sequence.accept(id)
      yield event
      if (isLast) return finish(stopped ? "stop" : isEnd ? "eos" : "length")
    }
  } finally {
    signal?.removeEventListener("abort", stop)
    cancellation.delete(stop)
    sequence.close()
  }
}

/** Asks the sampler for an id, and holds it to what it may choose. */
function choose(
  graph: OpenGraph,
  sequence: Sequence,
  sampler: SamplerState,
  random: { nextUniform(): number },
): number {
  const { name } = graph.sampler
  const { scores, weights } = sequence
  const weightSum = weights.reduce((sum, weight) => sum + weight, 1)
  let id: number
  try {
    id = guard(name, () => sampler.sample({ scores, weightSum, random }))
  } catch (error) {
    sequence.normalize() // names a reward that gave NaN, or says that no token is left
    throw error
  }
  if (Number.isInteger(id) && scores[id] > -Infinity) return id
  sequence.normalize() // it may have had nothing to choose from
  throw new GenArmError(
    { _tag: "PluginFailed", plugin: name },
    `the sampler "${name}" chose ${id}: expected an id from 0 to ${
      scores.length - 1
    } whose score ` +
      "is above -Infinity",
  )
}

/** What is told of a chosen token. */
function measure(
  graph: OpenGraph,
  sequence: Sequence,
  sampler: SamplerState,
  id: number,
  trace: Request["trace"],
): Omit<TokenEvent, "id" | "text"> {
  const { logNormalizer } = sampler
  // A greedy choice passes over NaN, and nothing else looks at all the scores.
  if (trace === "none" && logNormalizer === undefined) sequence.checkNumbers()
  const normalizer = trace === "none" ? NaN : logNormalizer ?? sequence.normalize()
  const base = sequence.baseLogProb(id)
  const guided = trace === "none" ? NaN : sequence.guidedLogProb(id, normalizer)
  const sampled = guard(graph.sampler.name, () => sampler.logProbability(id))
  return {
    logprob: { base, guided, sampled },
    rewards: sequence.rewardsOf(id),
    weights: sequence.namedWeights(),
    ...typeof trace === "object" && {
      top: topTokens(sequence, trace.top, normalizer, graph.base.model.tokenizer),
    },
  }
}
