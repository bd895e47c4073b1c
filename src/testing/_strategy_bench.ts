/** What the checks of a strategy share: the graphs that it stands in, and texts that it writes there. */
import type { Pipeline } from "../decode/pipeline.ts"
import type { GenerateOptions, Generation } from "../decode/types.ts"
import { messageOf } from "../errors.ts"
import type { GraphSpec } from "../graph/graph.ts"
import { definition, type PluginNode } from "../plugin/node.ts"
import type { StrategyDefinition } from "../plugin/strategy.ts"
import { type Place, withPipeline } from "./_scope.ts"
import { madeUp } from "./_strategy_rewards.ts"
import { fail } from "./_suite.ts"
import { type WatchedStrategy, watchStrategy } from "./_watched_strategy.ts"

/** Tokens of a text at most, where nothing else is said. */
export const maxTokens = 12

/** What a graph has beside the strategy and what that asks for. */
export interface Around {
  readonly rewards?: GraphSpec["rewards"]
  readonly sampler?: GraphSpec["sampler"]
}

/** What becomes of a text. */
export type Outcome = { readonly text: Generation } | { readonly error: unknown }

/** A pipeline with the strategy, which is watched. */
export interface StrategyRoom {
  readonly pipeline: Pipeline
  readonly watched: WatchedStrategy
  /** The text after the place's prompt by the place's seed, or what is said instead; fails where there is none. */
  write(options?: GenerateOptions, salt?: number): Promise<Generation>
  /** The same, or what it failed with. */
  attempt(options?: GenerateOptions): Promise<Outcome>
}

/** A strategy, and where it is checked. */
export class StrategyBench {
  readonly node: PluginNode<"strategy">
  readonly place: Place

  constructor(node: PluginNode<"strategy">, place: Place) {
    this.node = node
    this.place = place
  }

  /** What failures call the plugin. */
  get name(): string {
    return `"${this.node.plugin}"`
  }

  /** The rewards that it asks for, none for an option that names none; `undefined` where it goes by none. */
  get named(): readonly (string | undefined)[] | undefined {
    const found = this.node[definition] as StrategyDefinition
    const rewards = found.rewards?.(this.node.options)
    return rewards && Object.values(rewards)
  }

  /** A graph of the strategy, with the rewards that it asks for and one that guides. */
  parts({ rewards = {}, sampler }: Around = {}, strategy = this.node): Omit<GraphSpec, "base"> {
    const names = ["guides", ...(this.named ?? []).filter((name) => name !== undefined)]
    const guides = names.map((name) => [name, { reward: madeUp({ salt: name }), weight: 1 }])
    return {
      rewards: { ...Object.fromEntries(guides), ...rewards },
      strategy,
      ...sampler !== undefined && { sampler },
    }
  }

  /** Opens a pipeline while `use` runs. */
  inRoom<A>(
    use: (room: StrategyRoom) => Promise<A>,
    around: Around = {},
    node: PluginNode<"strategy"> = this.node,
  ): Promise<A> {
    const watched = watchStrategy(node)
    const { prompt, seed } = this.place
    return withPipeline(this.place, this.parts(around, watched.node), async (pipeline) => {
      const attempt = (options: GenerateOptions = {}): Promise<Outcome> =>
        this.ending(
          watched,
          pipeline.generate(prompt, { maxTokens, seed, ...options })
            .then((text) => ({ text }), (error) => ({ error })),
        )
      const write = async (options: GenerateOptions = {}, salt = 0) => {
        const outcome = await attempt({ seed: (seed + salt) % 2 ** 32, ...options })
        if ("error" in outcome) throw outcome.error
        return outcome.text
      }
      return await use({ pipeline, watched, attempt, write })
    })
  }

  /** What the strategy comes to; fails where it goes on for ever. */
  async ending<A>({ endless }: WatchedStrategy, work: Promise<A>): Promise<A> {
    const gone = await Promise.race([work.then((value) => ({ value })), endless])
    if (gone !== undefined) return gone.value
    fail(
      `${this.name} goes on for ever: expected it to return when its sequence has ended, and to ` +
        "throw what is thrown at it. Look at ended after each token, and catch no errors",
    )
  }
}

/** What an outcome is, for a message. */
export function describe(outcome: Outcome): string {
  if ("error" in outcome) return `"${messageOf(outcome.error)}"`
  return `a text of ${outcome.text.ids.length} tokens`
}
