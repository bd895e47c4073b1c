/** Rewards whose states are counted: those of the plugin, and of the parts that it is made of. */
import { definition, type PluginNode } from "../plugin/node.ts"
import type { RewardDefinition, RewardState } from "../plugin/reward.ts"
import { mapNodes } from "./_nodes.ts"

/** A reward that can be watched. */
export interface WatchedReward {
  readonly node: PluginNode<"reward">
  /** How often each state was closed, with the name of its plugin, in the order of opening. */
  readonly states: readonly { readonly plugin: string; readonly closed: number }[]
  /** How many rewards stand among the options. */
  readonly parts: number
}

/**
 * A copy of a reward that counts.
 *
 * @param failing The place, among the rewards in the options, of one that cannot be opened.
 */
export function watchReward(node: PluginNode<"reward">, failing?: number): WatchedReward {
  const states: { plugin: string; closed: number }[] = []
  let parts = 0
  const watch = (plugin: string, state: RewardState): RewardState => {
    const count = { plugin, closed: 0 }
    states.push(count)
    // Methods look at their state through `this`, and may be found on its class.
    return new Proxy<RewardState>({}, {
      get(_, key) {
        if (key === "close") {
          return () => {
            count.closed++
            state.close?.()
          }
        }
        const value = Reflect.get(state, key)
        if (typeof value !== "function") return value
        if (key !== "fork") return value.bind(state)
        return (models: never) => watch(plugin, value.call(state, models))
      },
    })
  }
  const watched = mapNodes(node, (inner, depth) => {
    const found = inner[definition] as RewardDefinition | undefined
    if (found?.kind !== "reward") return inner
    const isFailing = depth > 0 && parts++ === failing
    const open: RewardDefinition["open"] = (options, sequence, models) => {
      if (isFailing) throw new Error("this part fails, to see what becomes of the others")
      return watch(found.name, found.open(options, sequence, models))
    }
    return Object.freeze({ ...inner, [definition]: { ...found, open } })
  })
  return { node: watched, states, parts }
}
