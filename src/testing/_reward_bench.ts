/** What the checks of a reward share: where they run, and texts that the reward itself lets through. */
import { randomStream } from "../math/random.ts"
import type { PluginNode } from "../plugin/node.ts"
import { RewardText } from "./_reward_text.ts"
import { type Place, withGraph } from "./_scope.ts"

/** Tokens of the texts, and of what two of them begin with. */
const length = 12
const shared = 5

/** Ids of texts that a reward rules nothing out of. */
export interface Texts {
  readonly first: readonly number[]
  /** Begins as `first` does, as far as `shared`. */
  readonly branch: readonly number[]
  /** Begins otherwise, where the reward leaves a choice. */
  readonly other: readonly number[]
  readonly shared: number
}

/** A reward, and where it is checked. */
export class RewardBench {
  readonly node: PluginNode<"reward">
  readonly place: Place
  #texts: Promise<Texts> | undefined

  constructor(node: PluginNode<"reward">, place: Place) {
    this.node = node
    this.place = place
  }

  /** What failures call the plugin. */
  get name(): string {
    return `"${this.node.plugin}"`
  }

  /** Opens texts in one graph; each is closed at the end. */
  withTexts<A>(
    use: (open: () => RewardText) => Promise<A>,
    node: PluginNode<"reward"> = this.node,
  ): Promise<A> {
    const parts = { rewards: { reward: { reward: node, weight: 1 } } }
    return withGraph(this.place, parts, async (graph) => {
      const texts: RewardText[] = []
      try {
        return await use(() => {
          const text = RewardText.open(graph, this.place.prompt)
          texts.push(text)
          return text
        })
      } finally {
        for (const text of texts) text.close()
      }
    })
  }

  /** The texts that checks read; drawn once. */
  texts(): Promise<Texts> {
    return this.#texts ??= this.withTexts(async (open) => {
      const { seed } = this.place
      const [one, two, three] = [open(), open(), open()]
      const first = await one.write(length, randomStream(seed))
      const branch = first.slice(0, Math.min(shared, Math.floor(first.length / 2)))
      await two.read(branch)
      const rest = await two.write(length - branch.length, randomStream((seed + 1) % 2 ** 32))
      const other = await three.write(length, randomStream((seed + 2) % 2 ** 32))
      return { first, branch: [...branch, ...rest], other, shared: branch.length }
    })
  }
}
