/** Checking a plugin at its place: built in code, named by data, or a factory that was not called. */
import { Schema } from "effect"
import {
  checkedNode,
  definition,
  fromFactory,
  isPluginNode,
  type PluginKind,
  type PluginNode,
} from "./node.ts"
import { decodeAt, type Path, printValue } from "./options.ts"
import { definitionOf, type Plugins } from "./registry.ts"
import { type CheckTag, wrongPlugin } from "./wrong_plugin.ts"

export type { CheckTag } from "./wrong_plugin.ts"

/** A node that comes as data. */
const nodeData = Schema.Struct({
  plugin: Schema.String,
  options: Schema.optionalKey(Schema.Unknown),
})

/** A node of the kind, its options and the plugins among them checked; `path` is where it stands. */
export function checkNode<Kind extends PluginKind>(
  plugins: Plugins,
  kind: Kind,
  value: unknown,
  path: Path,
  tag: CheckTag = "InvalidGraph",
): PluginNode<Kind> {
  const node = fromFactory(value)
  if (!isPluginNode(node)) throw wrongPlugin(kind, printValue(value), path, tag)
  const found = definitionOf(plugins, kind, node, path)
  if (found.kind !== kind) {
    throw wrongPlugin(kind, `the ${found.kind} plugin "${found.name}"`, path, tag)
  }
  // A node built in code has been checked, and may carry more than its data (a live value).
  if (node === value && node[definition] !== undefined) return node as PluginNode<Kind>
  const { options } = decodeAt(nodeData, Object.fromEntries(Object.entries(node)), path, tag)
  return checkedNode<Kind>(
    found as never,
    options,
    [...path, "options"],
    tag,
    (kind, part, at) => checkNode(plugins, kind, part, at, tag),
  )
}
