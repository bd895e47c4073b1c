/** Writing one text: the strategy drives the sequence, and its tokens are told as they settle. */
import { aborted, GenArmError, messageOf } from "../errors.ts"
import { closeQuietly } from "../plugin/close_all.ts"
import type { GuidedSequence } from "../plugin/strategy.ts"
import { GuidedText } from "./guided_text.ts"
import type { OpenGraph } from "./open_graph.ts"
import type { Request } from "./request.ts"
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
  const checkCancelled = () => {
    if (cancellation.error !== undefined) throw cancellation.error
    if (signal?.aborted) throw aborted(signal, { text, ids, tokens, seed })
  }
  checkCancelled()
  const root = GuidedText.open(graph, prompt, request, checkCancelled)
  // An abort frees memory at once, even if nobody asks for another token.
  const stop = () => closeQuietly(() => root.closeAll())
  signal?.addEventListener("abort", stop)
  cancellation.add(stop)
  try {
    let last = root
    for await (const sequence of guarded(graph, root, checkCancelled)) {
      if (sequence !== last) checkYielded(graph, root, sequence, ids)
      last = sequence as GuidedText
      for (const event of last.settle(ids.length)) {
        checkCancelled()
        ids.push(event.id)
        text += event.text
        if (trace !== "none") tokens.push(event)
        yield event
      }
      if (last.ended === undefined) continue
      return { text, ids, tokens, stopReason: last.ended, seed }
    }
    checkCancelled() // a strategy may have taken that for its own end
    throw new GenArmError(
      { _tag: "PluginFailed", plugin: nameOf(graph) },
      `the strategy "${nameOf(graph)}" returned after ${ids.length} tokens, and the text has not ` +
        "ended: expected it to yield a sequence that has",
    )
  } finally {
    signal?.removeEventListener("abort", stop)
    cancellation.delete(stop)
    root.closeAll()
  }
}

/** Token after token: what a graph without a strategy does. */
async function* plain(sequence: GuidedSequence): AsyncGenerator<GuidedSequence> {
  while (sequence.ended === undefined) {
    await sequence.step()
    yield sequence
  }
}

/** What the strategy yields; whatever it throws is an error that names it. */
async function* guarded(
  { strategy }: OpenGraph,
  root: GuidedText,
  checkCancelled: () => void,
): AsyncGenerator<GuidedSequence> {
  if (strategy === undefined) return yield* plain(root)
  const { definition: { name, run }, options } = strategy
  try {
    yield* run(options, root)
  } catch (error) {
    checkCancelled()
    if (error instanceof GenArmError) throw error
    throw new GenArmError(
      { _tag: "PluginFailed", plugin: name },
      `the strategy "${name}" failed: ${messageOf(error)}`,
      { cause: error },
    )
  }
}

/** What is told is final: a sequence must go on from what has been. */
function checkYielded(
  graph: OpenGraph,
  root: GuidedText,
  sequence: GuidedSequence,
  told: readonly number[],
): void {
  const name = nameOf(graph)
  const refuse = (found: string) =>
    new GenArmError(
      { _tag: "PluginFailed", plugin: name },
      `the strategy "${name}" yielded ${found}: expected the sequence it was given, or a fork of it`,
    )
  if (!(sequence instanceof GuidedText)) throw refuse("something else than a sequence")
  if (!sequence.isBeside(root)) throw refuse("a sequence of another request")
  const goesOn = told.every((id, i) => sequence.ids[i] === id)
  if (!goesOn) throw refuse("a sequence that does not go on from the tokens it had yielded before")
}

function nameOf({ strategy }: OpenGraph): string {
  return strategy?.definition.name ?? "plain"
}
