/** From the text of a formula, and rewards by name, to what `defineGraph` takes. */
import type { PluginNode } from "../plugin/node.ts"
import { hint } from "../plugin/nearest.ts"
import { formulaError } from "./formula_error.ts"
import { readFormula } from "./formula_parser.ts"
import { type Atom, printAtom, type Sum } from "./formula_terms.ts"
import type { GraphSpec, RewardTerm } from "./graph.ts"

/** What stands beside a formula: a spec whose rewards have no weights yet. */
export interface FormulaParts extends Omit<GraphSpec, "rewards"> {
  /**
   * Rewards by the names that stand in the formula, alone or as terms, whose weights the formula
   * replaces. Those that it does not name are left out.
   */
  readonly rewards?: Readonly<
    Record<string, PluginNode<"reward"> | Omit<RewardTerm, "weight"> | RewardTerm>
  >
}

/**
 * A spec for `defineGraph` from a formula such as `base + 0.5*helpful - 0.2*terse`: the names of
 * rewards, numbers, `+ - * /`, brackets, `max(a, b)` and `min(a, b)`, and schedules as formulas print
 * them, `linear(from: 1, to: 0, tokens: 50)*helpful`. Brackets are multiplied out, so that every reward
 * is a term with a weight of its own; `max` and `min` are one term each, whose name is their text.
 *
 * A name may have hyphens in it: put blanks around a minus. `String(graph)` is a formula again, and
 * with the graph's own rewards beside it gives the same graph.
 *
 * @throws {GenArmError} `InvalidFormula` with the position, and in the message the place underlined.
 *
 * @example
 * ```ts
 * import { arm, defineGraph, parseFormula } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const spec = parseFormula("base + 2*max(kind, 0.5*funny) - 0.2*(wordy + kind)", {
 *   base: "./models/base",
 *   rewards: {
 *     kind: arm({ model: "./models/kind" }),
 *     funny: arm({ model: "./models/funny" }),
 *     wordy: arm({ model: "./models/wordy" }),
 *   },
 * })
 * assertEquals(
 *   String(defineGraph(spec)),
 *   "base + 2.0*max(kind, 0.5*funny) - 0.2*wordy - 0.2*kind",
 * )
 * ```
 */
export function parseFormula(text: string, parts: FormulaParts): GraphSpec {
  const sum = readFormula(text)
  const { rewards = {}, ...rest } = parts
  if (sum.base !== 1) {
    throw formulaError(text, sum.baseAt, "expected the base once, with weight 1, as in base + kind")
  }
  if (sum.constant !== 0) {
    throw formulaError(
      text,
      0,
      `the number ${sum.constant} would be added to every token alike, which changes nothing`,
    )
  }
  const terms = [...sum.terms].map(([name, { atom, factor, schedule }]) => [name, {
    ...new Rewards(text, rewards).term(atom),
    weight: schedule ?? factor,
  }])
  return { ...rest, rewards: Object.fromEntries(terms) }
}

/** Whether a text is how a formula prints one `max` or `min`, and so may name a reward. */
export function isChoice(name: string): boolean {
  if (!/^(max|min)\(/.test(name)) return false
  try {
    const { base, constant, terms } = readFormula(name)
    const [[key, { factor, schedule }]] = terms
    return base === 0 && constant === 0 && terms.size === 1 && key === name && factor === 1 &&
      schedule === undefined
  } catch {
    return false
  }
}

type GivenReward = Omit<RewardTerm, "weight">

/** The rewards beside a formula. */
class Rewards {
  readonly #text: string
  readonly #given: NonNullable<FormulaParts["rewards"]>

  constructor(text: string, given: NonNullable<FormulaParts["rewards"]>) {
    this.#text = text
    this.#given = given
  }

  /** The term of a reward without its weight. */
  term(atom: Atom): GivenReward {
    const key = printAtom(atom)
    if (Object.hasOwn(this.#given, key)) {
      const given = this.#given[key]
      if (typeof given !== "object" || given === null || !("reward" in given)) {
        return { reward: given as PluginNode<"reward"> }
      }
      const { weight: _, ...term } = given as RewardTerm
      return term
    }
    if ("name" in atom) throw this.#unknown(atom)
    const names = atom.choose === "max" ? "union" : "intersection"
    const parts = atom.of.map((sum) => this.#reward(sum))
    const templates = new Set(parts.flatMap(({ templates }) => templates))
    if (templates.size > 1) {
      throw formulaError(
        this.#text,
        atom.at,
        `the rewards inside ${atom.choose} must have one template, found ${
          [...templates].map((template) => JSON.stringify(template) ?? "none").join(" and ")
        }`,
      )
    }
    const [template] = templates
    return {
      reward: { plugin: names, options: { of: parts.map(({ reward }) => reward) } },
      ...template !== undefined && { template },
    }
  }

  /** A sum as one reward, and the templates of what it is made of. */
  #reward(
    { constant, terms }: Sum,
  ): { reward: PluginNode<"reward">; templates: (string | undefined)[] } {
    const parts = [...terms.values()].map(({ atom, factor }) => {
      const { reward, template } = this.term(atom)
      const scaled = { plugin: "scale", options: { of: reward, by: factor } }
      return { reward: factor === 1 ? reward : scaled, template }
    })
    const rewards = parts.map(({ reward }) => reward)
    if (constant !== 0 || rewards.length === 0) {
      rewards.push({ plugin: "constant", options: { value: constant } })
    }
    return {
      reward: rewards.length === 1 ? rewards[0] : { plugin: "sum", options: { of: rewards } },
      templates: parts.map(({ template }) => template),
    }
  }

  #unknown({ name, at }: { readonly name: string; readonly at: number }): Error {
    const known = Object.keys(this.#given)
    const isDifference = name.includes("-") &&
      name.split("-").every((part) => Object.hasOwn(this.#given, part) || /^\d+$/.test(part))
    const near = isDifference ? ": put blanks around the minus" : hint(name, known, ": ")
    return formulaError(
      this.#text,
      at,
      `there is no reward "${name}"${near}; given are ${known.join(", ") || "none"}`,
    )
  }
}
