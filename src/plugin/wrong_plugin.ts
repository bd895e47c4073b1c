/** The error of a place where a plugin of some kind belongs, and something else stands. */
import { GenArmError } from "../errors.ts"
import type { PluginKind } from "./node.ts"
import { type Path, printPath } from "./options.ts"

/** What is wrong: a graph, or the options of a call. */
export type CheckTag = "InvalidGraph" | "InvalidOption"

/** What was expected at the place, what was found there, and where it is. */
export function wrongPlugin(
  kind: PluginKind,
  found: string,
  path: Path,
  tag: CheckTag,
): GenArmError {
  const article = kind === "objective" ? "an" : "a"
  const place = path.length === 0 ? "" : `, at ${printPath(path)}`
  return new GenArmError(
    { _tag: tag, path },
    `expected ${article} ${kind} plugin, such as ${examples[kind]}, found ${found}${place}`,
  )
}

const examples: Record<PluginKind, string> = {
  reward: "arm({ model })",
  schedule: "linear({ from, to, tokens })",
  sampler: "sampling({ temperature: 0.8 })",
  strategy: 'speculative({ draft: "lookup" })',
  objective: "armPreference({ beta: 0.05 })",
}
