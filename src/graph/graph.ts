/** The generation graph: which models, rewards, weights and sampler make a text. Plain data. */
import { type PluginNode, transient } from "../plugin/node.ts"
import { printPath } from "../plugin/options.ts"
import { GenArmError } from "../errors.ts"
import type { ModelRef } from "../files/model_ref.ts"
import { printCall, printNumber } from "./formula_terms.ts"

/** A schedule as part of a graph. */
export type ScheduleNode = PluginNode<"schedule">

/** A number, or a schedule that gives one for each token. For an ARM it is `1 / beta`. */
export type Weight = number | ScheduleNode

/** A reward with its weight. */
export interface RewardTerm {
  /** A reward plugin with its options, such as `arm({ model })`. */
  readonly reward: PluginNode<"reward">
  /** How much it counts; negative weights steer away. */
  readonly weight: Weight
  /** How the prompt is put to the reward's models: see `ModelRef.template`. */
  readonly template?: string
}

/** What `defineGraph` takes. */
export interface GraphSpec {
  /** The model that is guided: a folder, `hub:org/name`, or one of them with options. */
  readonly base: string | ModelRef
  /** Named rewards; the names stand in results and per-request weights. */
  readonly rewards?: Readonly<Record<string, RewardTerm>>
  /** How a token is chosen; `sampling()`, the paper's rule, where absent. */
  readonly sampler?: PluginNode<"sampler">
  /** How a text is put together; token after token where absent. */
  readonly strategy?: PluginNode<"strategy">
  /** Strings that end a text; they are not part of it. */
  readonly stop?: readonly string[]
}

/**
 * A checked graph. It is frozen plain data: `JSON.stringify` saves it, `defineGraph` of the parsed
 * text gives it back, and `String` prints its formula.
 */
export interface Graph {
  /** The model that is guided. */
  readonly base: ModelRef
  /** Named rewards, in the order of the formula. */
  readonly rewards: Readonly<Record<string, RewardTerm>>
  /** How a token is chosen. */
  readonly sampler: PluginNode<"sampler">
  /** How a text is put together; token after token where absent. */
  readonly strategy?: PluginNode<"strategy">
  /** Strings that end a text. */
  readonly stop: readonly string[]
}

const graphs = new WeakSet<object>()

/** Whether a value is a graph that has been checked. */
export function isGraph(value: object): value is Graph {
  return graphs.has(value)
}

/** Freezes the parts into a graph that prints and saves itself. */
export function makeGraph(parts: Graph): Graph {
  const graph = { ...parts }
  graphs.add(graph)
  Object.defineProperties(graph, {
    toString: { value: () => formula(graph) },
    toJSON: { value: () => savable(graph) },
    [Symbol.for("nodejs.util.inspect.custom")]: { value: () => `Graph(${formula(graph)})` },
  })
  return Object.freeze(graph)
}

/**
 * The formula of a graph, e.g. `base + 1.0*cheerful - 0.3*wordy`: the log-probabilities that are
 * summed, un-normalised, before the sampler divides by its temperature.
 */
export function formula({ rewards }: Pick<Graph, "rewards">): string {
  return Object.entries(rewards).reduce((text, [name, { weight }]) => {
    if (typeof weight !== "number") {
      return `${text} + ${printCall(weight.plugin, weight.options)}*${name}`
    }
    return `${text} ${weight < 0 ? "-" : "+"} ${printNumber(Math.abs(weight))}*${name}`
  }, "base")
}

/** The graph as JSON data; fails with the path of anything that JSON cannot hold. */
function savable(graph: Graph): unknown {
  const visit = (value: unknown, path: readonly (string | number)[]): void => {
    const refuse = (what: string): never => {
      throw new GenArmError(
        { _tag: "InvalidGraph", path },
        `the graph cannot be saved: ${what} at ${printPath(path)}`,
      )
    }
    if (typeof value === "function") refuse("there is a function")
    if (typeof value === "symbol" || typeof value === "bigint") refuse(`there is a ${typeof value}`)
    if (typeof value === "number" && !Number.isFinite(value)) refuse(`there is ${value}`)
    if (typeof value !== "object" || value === null) return
    const reason = (value as { [transient]?: string })[transient]
    if (reason !== undefined) refuse(reason)
    const kind = value.constructor?.name ?? "Object"
    if (kind !== "Object" && !Array.isArray(value)) refuse(`there is a ${kind}`)
    for (const [key, inner] of Object.entries(value)) {
      visit(inner, [...path, Array.isArray(value) ? Number(key) : key])
    }
  }
  visit(graph, [])
  return { ...graph }
}
