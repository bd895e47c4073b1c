/** Nodes of a plugin, taken apart: what they need to be read back, and copies that can be watched. */
import { checkNode } from "../plugin/check_node.ts"
import { definition, isPluginNode, type PluginKind, type PluginNode } from "../plugin/node.ts"
import { type AnyPlugin, type Plugins, withPlugins } from "../plugin/registry.ts"

export const none: Plugins = { reward: [], schedule: [], sampler: [], strategy: [], objective: [] }

/** A registry that knows a node's plugin and those of the nodes among its options, and no others. */
export function registryOf(node: PluginNode): Plugins {
  const found = new Set<NonNullable<PluginNode[typeof definition]>>()
  mapNodes(node, (inner) => {
    if (inner[definition] !== undefined) found.add(inner[definition])
    return inner
  })
  const plugins = [...found].map((one): AnyPlugin => Object.assign(() => {}, { definition: one }))
  return withPlugins(none, plugins)
}

/** A node as it comes back from a file; fails where its data is no node. */
export function readBack<Kind extends PluginKind>(
  kind: Kind,
  node: PluginNode<Kind>,
): PluginNode<Kind> {
  return checkNode(registryOf(node), kind, JSON.parse(JSON.stringify(node)), [kind])
}

/**
 * A copy in which each node is what `map` makes of it, those among the options first; `depth` is 0
 * for the node itself. What holds no node is shared.
 */
export function mapNodes<Kind extends PluginKind>(
  node: PluginNode<Kind>,
  map: (node: PluginNode, depth: number) => PluginNode,
  depth = 0,
): PluginNode<Kind> {
  const options = mapWithin(node.options, map, depth + 1)
  const copy = options === node.options ? node : Object.freeze({ ...node, options })
  return map(copy, depth) as PluginNode<Kind>
}

function mapWithin(
  value: unknown,
  map: (node: PluginNode, depth: number) => PluginNode,
  depth: number,
): unknown {
  if (isPluginNode(value) && definition in value) return mapNodes(value, map, depth)
  if (typeof value !== "object" || value === null) return value
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== Array.prototype) return value
  const entries = Object.entries(value).map(([key, inner]) => {
    const mapped = mapWithin(inner, map, depth)
    return { key, mapped, isSame: mapped === inner }
  })
  if (entries.every(({ isSame }) => isSame)) return value
  if (Array.isArray(value)) return Object.freeze(entries.map(({ mapped }) => mapped))
  return Object.freeze(Object.fromEntries(entries.map(({ key, mapped }) => [key, mapped])))
}

/** A copy of data as it is now: of typed arrays, maps and sets too; functions stay as they are. */
export function snapshot(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value
  if (ArrayBuffer.isView(value)) return structuredClone(value)
  if (Array.isArray(value)) return value.map(snapshot)
  if (value instanceof Map) return new Map([...value].map(([key, inner]) => [key, snapshot(inner)]))
  if (value instanceof Set) return new Set(value)
  if (Object.getPrototypeOf(value) !== Object.prototype) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, snapshot(inner)]))
}
