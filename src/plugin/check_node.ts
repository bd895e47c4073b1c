/** Checking a plugin at its place: built in code, named by data, or a factory that was not called. */
import { Schema } from "effect"
import { GenArmError } from "../errors.ts"
import {
  checkedNode,
  definition,
  isPluginNode,
  type PluginDefinition,
  type PluginKind,
  type PluginNode,
} from "./node.ts"
import { decodeAt, type Path, printPath, printValue } from "./options.ts"
import { definitionOf, type Plugins } from "./registry.ts"

/** What is wrong: a graph, or the options of a call. */
export type CheckTag = "InvalidGraph" | "InvalidOption"

/** A node that comes as data. */
const nodeSchema = Schema.Struct({
  plugin: Schema.String,
  options: Schema.optionalKey(Schema.Unknown),
})

/** A node of the kind, its options checked; `path` is where it stands. */
export function checkNode<Kind extends PluginKind>(
  plugins: Plugins,
  kind: Kind,
  value: unknown,
  path: Path,
  tag: CheckTag = "InvalidGraph",
): PluginNode<Kind> {
  const node = fromFactory(value)
  const article = kind === "objective" ? "an" : "a"
  const expected = `expected ${article} ${kind} plugin, such as ${examples[kind]}`
  const refuse = (found: string) =>
    new GenArmError({ _tag: tag, path }, `${expected}, found ${found}, at ${printPath(path)}`)
  if (!isPluginNode(node)) throw refuse(printValue(value))
  const found = definitionOf(plugins, kind, node)
  if (found.kind !== kind) throw refuse(`the ${found.kind} plugin "${found.name}"`)
  // A node built in code has been checked, and may carry more than its data (a live value).
  if (node === value && node[definition] !== undefined) return node as PluginNode<Kind>
  const { options } = decodeAt(nodeSchema, Object.fromEntries(Object.entries(node)), path, tag)
  return checkedNode<Kind>(found as never, options, [...path, "options"], tag)
}

const examples: Record<PluginKind, string> = {
  reward: "arm({ model })",
  schedule: "linear({ from, to, tokens })",
  sampler: "sampling({ temperature: 0.8 })",
  strategy: "speculative({ draft: promptLookup() })",
  objective: "armPreference({ beta: 0.05 })",
}

/** A plugin that was not called stands for itself without options, which are yet to be checked. */
function fromFactory(value: unknown): unknown {
  if (typeof value !== "function" || !("definition" in value)) return value
  const plugin = value.definition as PluginDefinition<PluginKind, unknown>
  return { plugin: plugin.name, [definition]: plugin }
}
