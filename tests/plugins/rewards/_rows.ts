/** Rewards written down as numbers, and what a reward makes of them, without a pipeline. */
import { Schema } from "effect"
import { defineReward, definition, type PluginNode, type RewardDefinition } from "genarm/plugin"
import { randomStream } from "genarm/math"

/** A reward that gives these scores at every token; texts stand for what JSON has no number for. */
export const written = defineReward({
  name: "written",
  options: Schema.Struct({ scores: Schema.Array(Schema.Any) }),
  open: ({ scores }) => ({ score: (_, out) => out.set(scores.map(Number)) }),
})

/** `written` with the scores as they are. */
export const row = (...scores: number[]): PluginNode<"reward"> => written({ scores })

/** Scores of every id at the first token, with rows of the base under every `model`. */
export function scoresOf(
  node: PluginNode<"reward">,
  size: number,
  rows: (name: string) => Float32Array = () => new Float32Array(size),
): number[] {
  const plugin = node[definition] as RewardDefinition
  const state = plugin.open(node.options, {
    vocabularySize: size,
    promptIds: [],
    token: () => undefined,
    decode: () => "",
    encode: () => [],
    eos: [],
  } as never, {})
  const names = Object.keys(plugin.sources?.(node.options) ?? {})
  const out = new Float32Array(size).fill(NaN)
  state.score!(Object.fromEntries(names.map((name) => [name, rows(name)])), out)
  state.close?.()
  return [...out]
}

/** Random scores, some of them rulings-out, all exact in float32 and in sums of a few. */
export function randomRows(seed: number, count: number, size: number, bans = 0.2): number[][] {
  const random = randomStream(seed)
  const score = () =>
    random.nextUniform() < bans ? -Infinity : Math.floor(random.nextUniform() * 257 - 128) / 16
  return Array.from({ length: count }, () => Array.from({ length: size }, score))
}
