/** From what a program or a file says to a checked graph. */
import { Schema } from "effect"
import { GenArmError } from "../errors.ts"
import { checkedNode, definition, isPluginNode, type PluginKind } from "../plugin/node.ts"
import type { PluginDefinition, PluginNode } from "../plugin/node.ts"
import { decodeAt, type Path, printPath, printValue } from "../plugin/options.ts"
import { definitionOf, type Plugins } from "../plugin/registry.ts"
import { type Graph, type GraphSpec, makeGraph, type RewardTerm, type Weight } from "./graph.ts"
import type { ModelRef } from "../files/model_ref.ts"

const modelRefSchema = Schema.Struct({
  model: Schema.NonEmptyString,
  revision: Schema.optionalKey(Schema.NonEmptyString),
  weights: Schema.optionalKey(Schema.Literals(["f32", "q8", "q4"])),
  adapter: Schema.optionalKey(Schema.NonEmptyString),
  template: Schema.optionalKey(Schema.String),
})

const specSchema = Schema.Struct({
  base: Schema.Union([Schema.NonEmptyString, modelRefSchema]),
  rewards: Schema.optionalKey(Schema.Record(
    Schema.String,
    Schema.Struct({
      reward: Schema.Unknown,
      weight: Schema.Unknown,
      template: Schema.optionalKey(Schema.String),
    }),
  )),
  sampler: Schema.optionalKey(Schema.Unknown),
  stop: Schema.optionalKey(Schema.Array(Schema.NonEmptyString)),
})

/** A node that comes as data. */
const nodeSchema = Schema.Struct({
  plugin: Schema.String,
  options: Schema.optionalKey(Schema.Unknown),
})

/** Names of rewards stand in formulas: a letter, then letters, digits, `_` or `-`. */
const namePattern = /^\p{L}[\p{L}\p{N}_-]*$/u

/**
 * Checks a spec against the registered plugins. Throws `GenArmError`, reason `InvalidGraph` with the
 * path of the first problem, or `UnknownPlugin`.
 */
export function defineGraphWith(plugins: Plugins, spec: GraphSpec): Graph {
  const checked = decodeAt(specSchema, spec, [], "InvalidGraph")
  const base: ModelRef = typeof checked.base === "string" ? { model: checked.base } : checked.base
  checkTemplate(base.template, ["base", "template"])
  const rewards: Record<string, RewardTerm> = {}
  for (const [name, term] of Object.entries(checked.rewards ?? {})) {
    const path = ["rewards", name]
    if (!namePattern.test(name) || name === "base") {
      throw invalid(path, `"${name}" cannot name a reward: begin with a letter, and not "base"`)
    }
    checkTemplate(term.template, [...path, "template"])
    rewards[name] = Object.freeze({
      reward: checkNode(plugins, "reward", term.reward, [...path, "reward"]),
      weight: checkWeight(plugins, term.weight, [...path, "weight"]),
      ...term.template !== undefined && { template: term.template },
    })
  }
  return makeGraph({
    base: Object.freeze({ ...base }),
    rewards: Object.freeze(rewards),
    sampler: checkNode(
      plugins,
      "sampler",
      checked.sampler === undefined ? { plugin: "sampling" } : checked.sampler,
      ["sampler"],
    ),
    stop: Object.freeze([...checked.stop ?? []]),
  })
}

/** What is wrong: a graph, or the options of a request. */
type Tag = "InvalidGraph" | "InvalidOption"

/** Checks a weight: a finite number or a schedule. */
export function checkWeight(
  plugins: Plugins,
  weight: unknown,
  path: Path,
  tag: Tag = "InvalidGraph",
): Weight {
  if (typeof weight !== "number") return checkNode(plugins, "schedule", weight, path, tag)
  if (Number.isFinite(weight)) return weight
  throw invalid(path, `expected a finite weight, found ${weight}, at ${printPath(path)}`, tag)
}

function checkNode<Kind extends PluginKind>(
  plugins: Plugins,
  kind: Kind,
  value: unknown,
  path: Path,
  tag: Tag = "InvalidGraph",
): PluginNode<Kind> {
  const node = fromFactory(value)
  const expected = `expected a ${kind} plugin, such as ${examples[kind]}`
  if (!isPluginNode(node)) {
    throw invalid(path, `${expected}, found ${printValue(value)}, at ${printPath(path)}`, tag)
  }
  const found = definitionOf(plugins, kind, node)
  if (found.kind !== kind) {
    throw invalid(
      path,
      `${expected}, found the ${found.kind} plugin "${found.name}", at ${printPath(path)}`,
      tag,
    )
  }
  // A node built in code has been checked, and may carry more than its data (a live value).
  if (node === value && node[definition] !== undefined) return node as PluginNode<Kind>
  const { options } = decodeAt(nodeSchema, Object.fromEntries(Object.entries(node)), path, tag)
  return checkedNode<Kind>(found as never, options, [...path, "options"], tag)
}

const examples: Record<PluginKind, string> = {
  reward: "arm({ model })",
  schedule: "linear({ from, to, tokens })",
  sampler: "sampling({ temperature: 0.8 })",
}

/** A plugin that was not called stands for itself without options, which are yet to be checked. */
function fromFactory(value: unknown): unknown {
  if (typeof value !== "function" || !("definition" in value)) return value
  const plugin = value.definition as PluginDefinition<PluginKind, unknown>
  return { plugin: plugin.name, [definition]: plugin }
}

function checkTemplate(template: string | undefined, path: Path): void {
  if (template === undefined || template === "none" || template === "chat") return
  if (template.includes("{prompt}")) return
  throw invalid(
    path,
    `expected the template "none", "chat" or a text with {prompt} in it, found ` +
      `${JSON.stringify(template)}, at ${printPath(path)}`,
  )
}

function invalid(path: Path, message: string, tag: Tag = "InvalidGraph"): GenArmError {
  return new GenArmError({ _tag: tag, path }, message)
}
