/** The name of a model at the hub, as a graph spells it. */
import { GenArmError } from "../errors.ts"

/** A model at the hub. */
export interface HubReference {
  /** Owner and name, e.g. `HuggingFaceTB/SmolLM2-135M`. */
  readonly repository: string
  /** A branch, a tag or a commit; `main` unless another is named. */
  readonly revision: string
}

const PART = /^\w(?:[\w.+-]*\w)?$/

/**
 * Reads `hub:org/name` or `hub:org/name@revision`. Throws a `GenArmError` with the reason
 * `InvalidOption` for anything else, and for a revision given twice with different values.
 *
 * ```text
 * parseHubReference("hub:org/name@v1")  // { repository: "org/name", revision: "v1" }
 * ```
 */
export function parseHubReference(model: string, revision?: string): HubReference {
  const invalid = (key: string, message: string) =>
    new GenArmError({ _tag: "InvalidOption", path: [key] }, message)
  const [, repository = "", named] = /^hub:([^@]*)(?:@(.*))?$/s.exec(model) ?? []
  const parts = repository.split("/")
  // The rules of the hub itself; they also keep the folder inside of the cache.
  const sound = parts.length === 2 && parts.every((part) => PART.test(part) && part.length <= 96) &&
    !/\.\.|--|\+|\.git$|\.ipynb$/.test(repository)
  if (!sound || named === "") {
    throw invalid(
      "model",
      `expected a model of the hub, "hub:org/name" or "hub:org/name@revision", ` +
        `found ${JSON.stringify(model)}`,
    )
  }
  if (named !== undefined && revision !== undefined && named !== revision) {
    throw invalid(
      "revision",
      `expected one revision, found ${JSON.stringify(named)} in ${JSON.stringify(model)} and ` +
        `${JSON.stringify(revision)} beside it; remove one of them`,
    )
  }
  const chosen = named ?? revision ?? "main"
  if (chosen.includes("..") || !chosen.split("/").every((part) => PART.test(part))) {
    throw invalid(
      named === undefined ? "revision" : "model",
      `expected a branch, a tag or a commit as the revision, found ${JSON.stringify(chosen)}`,
    )
  }
  return { repository, revision: chosen }
}

/** The reference as a graph spells it. */
export function hubName({ repository, revision }: HubReference): string {
  return `hub:${repository}${revision === "main" ? "" : `@${revision}`}`
}
