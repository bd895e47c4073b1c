/** What becomes of a plugin in a file: it comes back as it was, or says why no file can hold it. */
import { inspect, isDeepStrictEqual } from "node:util"
import { GenArmError, messageOf } from "../errors.ts"
import type { Graph } from "../graph/graph.ts"
import type { PluginKind, PluginNode } from "../plugin/node.ts"
import { printPath } from "../plugin/options.ts"
import { readBack, snapshot } from "./_nodes.ts"
import { fail } from "./_suite.ts"

/**
 * The node as it is read back; none where the graph cannot be saved, and says so.
 *
 * @param path Where the node stands in the graph, `rewards.reward.weight`.
 */
export function savedAndRead<Kind extends PluginKind>(
  kind: Kind,
  node: PluginNode<Kind>,
  graph: Graph,
  path: string,
): PluginNode<Kind> | undefined {
  const name = `"${node.plugin}"`
  if (!canBeSaved(name, graph, path)) return undefined
  const saved = JSON.stringify(node)
  let read: PluginNode<Kind>
  try {
    read = readBack(kind, node)
  } catch (error) {
    fail(
      `${name} was saved as ${saved}, and cannot be read back: ${
        messageOf(error)
      }. Its options are ` +
        "checked again then: a schema must take what it gives",
    )
  }
  if (isDeepStrictEqual(snapshot(read.options), snapshot(node.options))) return read
  fail(
    `${name} was saved, and came back with other options, ${inspect(read.options)}: expected ` +
      `${inspect(node.options)}, of which JSON must be able to hold all`,
  )
}

function canBeSaved(name: string, graph: Graph, path: string): boolean {
  try {
    JSON.stringify(graph)
    return true
  } catch (error) {
    const at = error instanceof GenArmError && error.reason._tag === "InvalidGraph"
      ? printPath(error.reason.path)
      : ""
    if (at.startsWith(path)) return false
    fail(`${name} cannot be saved, and does not say where: ${messageOf(error)}`)
  }
}
