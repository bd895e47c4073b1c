/** From what a program or a file says to a checked graph. */
import { Schema } from "effect"
import { GenArmError } from "../errors.ts"
import { isTemplate, type ModelRef } from "../files/model_ref.ts"
import { checkNode, type CheckTag as Tag } from "../plugin/check_node.ts"
import { modelRefSchema } from "../plugin/model_ref_schema.ts"
import { guard } from "../plugin/guard.ts"
import { hint } from "../plugin/nearest.ts"
import { isPluginNode, type PluginNode } from "../plugin/node.ts"
import { decodeAt, type Path, printPath, printValue } from "../plugin/options.ts"
import { definitionOf, type Plugins } from "../plugin/registry.ts"
import { isChoice } from "./parse_formula.ts"
import { type Graph, type GraphSpec, makeGraph, type RewardTerm, type Weight } from "./graph.ts"

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
  strategy: Schema.optionalKey(Schema.Unknown),
  stop: Schema.optionalKey(Schema.Array(Schema.NonEmptyString)),
})

/**
 * Names of rewards stand in formulas: a letter, then letters, digits, `_` or `-`. What a formula makes
 * of several rewards is named by its text, such as `max(kind, funny)`.
 */
const namePattern = /^\p{L}[\p{L}\p{N}_-]*$/u

/**
 * Checks a spec against the registered plugins. Throws `GenArmError`, reason `InvalidGraph` with the
 * path of the first problem, or `UnknownPlugin`.
 */
export function defineGraphWith(plugins: Plugins, spec: GraphSpec): Graph {
  for (const [name, term] of Object.entries(spec?.rewards ?? {})) {
    if (!isPluginNode(term)) continue
    const found = `found the plugin "${term.plugin}" alone, at rewards.${name}`
    throw invalid(["rewards", name], `expected { reward, weight }, ${found}: give it a weight`)
  }
  const checked = decodeAt(specSchema, spec, [], "InvalidGraph")
  const base: ModelRef = typeof checked.base === "string" ? { model: checked.base } : checked.base
  checkTemplate(base.template, ["base", "template"])
  const rewards: Record<string, RewardTerm> = {}
  for (const [name, term] of Object.entries(checked.rewards ?? {})) {
    const path = ["rewards", name]
    if (!(namePattern.test(name) || isChoice(name)) || name === "base") {
      throw invalid(path, `"${name}" cannot name a reward: begin with a letter, and not "base"`)
    }
    checkTemplate(term.template, [...path, "template"])
    rewards[name] = Object.freeze({
      reward: checkNode(plugins, "reward", term.reward, [...path, "reward"]),
      weight: checkWeight(plugins, term.weight, [...path, "weight"]),
      ...term.template !== undefined && { template: term.template },
    })
  }
  const strategy = checked.strategy === undefined
    ? undefined
    : checkNode(plugins, "strategy", checked.strategy, ["strategy"])
  if (strategy !== undefined) checkChosenBy(plugins, strategy, Object.keys(rewards))
  return makeGraph({
    base: Object.freeze({ ...base }),
    rewards: Object.freeze(rewards),
    sampler: checkNode(
      plugins,
      "sampler",
      checked.sampler === undefined ? { plugin: "sampling" } : checked.sampler,
      ["sampler"],
    ),
    ...strategy !== undefined && { strategy },
    stop: Object.freeze([...checked.stop ?? []]),
  })
}

/** Checks a weight: a finite number or a schedule. */
export function checkWeight(
  plugins: Plugins,
  weight: unknown,
  path: Path,
  tag: Tag = "InvalidGraph",
): Weight {
  if (typeof weight === "object" && weight !== null || typeof weight === "function") {
    return checkNode(plugins, "schedule", weight, path, tag)
  }
  if (typeof weight === "number" && Number.isFinite(weight)) return weight
  throw invalid(
    path,
    "expected a finite weight, or a schedule such as linear({ from, to, tokens }), found " +
      `${printValue(weight)}, at ${printPath(path)}`,
    tag,
  )
}

/** A strategy that goes by rewards needs those. */
function checkChosenBy(
  plugins: Plugins,
  strategy: PluginNode<"strategy">,
  known: readonly string[],
): void {
  const { name, rewards } = definitionOf(plugins, "strategy", strategy)
  for (const [option, by] of Object.entries(guard(name, () => rewards?.(strategy.options)) ?? {})) {
    if (by === undefined ? known.length > 0 : known.includes(by)) continue
    const path = ["strategy", "options", option]
    const found = known.length === 0
      ? "the graph has no rewards"
      : `the graph has ${known.join(", ")}${hint(by ?? "", known, ": ", "")}`
    throw invalid(
      path,
      `the strategy "${name}" goes by ${
        by === undefined ? "the rewards" : `the reward "${by}"`
      }, and ${found}, at ${printPath(path)}`,
    )
  }
}

function checkTemplate(template: string | undefined, path: Path): void {
  if (template === undefined || isTemplate(template)) return
  throw invalid(
    path,
    `expected the template "none", "chat" or a text with {prompt} in it, found ` +
      `${JSON.stringify(template)}, at ${printPath(path)}`,
  )
}

function invalid(path: Path, message: string, tag: Tag = "InvalidGraph"): GenArmError {
  return new GenArmError({ _tag: tag, path }, message)
}
