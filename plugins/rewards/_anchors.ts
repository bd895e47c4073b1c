/**
 * `^` and `$` taken out of an expression, for one that must match a whole text, or for one that is
 * looked for in it. Anchors stand at the edges of a text; where one could stand inside, it is refused.
 */
import { choice, empty, type Expression, PatternProblem, sequence } from "./_expression.ts"

/**
 * The whole texts of an expression.
 *
 * @param around What may stand before and after it where no anchor says otherwise.
 */
export function anchored(expression: Expression, around: Expression = empty): Expression {
  const result = edge(edge(expression, "start", around), "end", around)
  refuseAnchors(result)
  return result
}

type Side = "start" | "end"

/** Puts `around` at one edge, but for where an anchor stands. */
function edge(node: Expression, side: Side, around: Expression): Expression {
  if (node.type === "choice") {
    return choice(...node.options.map((option) => edge(option, side, around)))
  }
  if (node.type === "anchor" && node.at === side) return empty
  const isStart = side === "start"
  if (node.type === "sequence" && hasAnchor(node, side)) {
    const items = [...node.items]
    const outer = isStart ? items.shift()! : items.pop()!
    // What stands beyond an anchor adds nothing, and a second one neither.
    const isAnchor = outer.type === "anchor" && outer.at === side
    const rest = sequence(...items)
    if (isAnchor) return hasAnchor(rest, side) ? edge(rest, side, empty) : rest
    if (hasAnchor(outer, side) && !hasAnchor(rest, side)) {
      const first = edge(outer, side, around)
      return isStart ? sequence(first, rest) : sequence(rest, first)
    }
  }
  if (around === empty) return node
  return isStart ? sequence(around, node) : sequence(node, around)
}

function hasAnchor(node: Expression, side?: Side): boolean {
  return firstAnchor(node, side) !== undefined
}

function firstAnchor(node: Expression, side?: Side): (Expression & { type: "anchor" }) | undefined {
  switch (node.type) {
    case "anchor":
      return side === undefined || node.at === side ? node : undefined
    case "sequence":
      return node.items.map((item) => firstAnchor(item, side)).find((found) => found)
    case "choice":
      return node.options.map((item) => firstAnchor(item, side)).find((found) => found)
    case "repeat":
      return firstAnchor(node.item, side)
    default:
      return undefined
  }
}

function refuseAnchors(node: Expression): void {
  const found = firstAnchor(node)
  if (found === undefined) return
  const [sign, edge] = found.at === "start" ? ["^", "begins"] : ["$", "ends"]
  throw new PatternProblem(
    `"${sign}" at position ${found.position} may only stand where the text ${edge}: expected it ` +
      `${found.at === "start" ? "first" : "last"} in the expression or in an alternative of it`,
  )
}
