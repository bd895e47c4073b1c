/**
 * What a formula says, brought to one form: a sum of `base`, a number, and rewards each times a factor
 * or a schedule; a reward is a named one, or the greatest or least of several such sums.
 */
import { isPluginNode, type PluginNode } from "../plugin/node.ts"
import { printValue } from "../plugin/options.ts"

/** A schedule as data. */
export interface ScheduleData {
  readonly plugin: string
  readonly options: Readonly<Record<string, unknown>>
}

/** A reward in a formula: by name, or the greatest or least of sums. */
export type Atom =
  | { readonly name: string; readonly at: number }
  | { readonly choose: "max" | "min"; readonly of: readonly Sum[]; readonly at: number }

/** A reward with what it is multiplied by. */
export interface Term {
  readonly atom: Atom
  readonly factor: number
  /** In place of the factor, which is 1 then. */
  readonly schedule?: ScheduleData
}

/** A sum; its terms are keyed by how their reward is printed, in the order of the text. */
export interface Sum {
  /** The factor of the base, and where it was written last. */
  readonly base: number
  readonly baseAt: number
  readonly constant: number
  readonly terms: ReadonlyMap<string, Term>
}

/** The sum of nothing but a number. */
export function constantSum(constant: number): Sum {
  return { base: 0, baseAt: 0, constant, terms: new Map() }
}

/** The sum of one reward. */
export function atomSum(atom: Atom): Sum {
  return { ...constantSum(0), terms: new Map([[printAtom(atom), { atom, factor: 1 }]]) }
}

/** Whether a sum is a number. */
export function isConstant({ base, terms }: Sum): boolean {
  return base === 0 && terms.size === 0
}

/** A number as formulas have it: `1.0`, `0.3`, `1e-7`. */
export function printNumber(value: number): string {
  return Number.isInteger(value) ? value.toFixed(1) : String(value)
}

/** A schedule as formulas have it: `linear(from: 1, to: 0, tokens: 50)`. */
export function printCall(plugin: string, options: unknown): string {
  const parts = Object.entries((options ?? {}) as object).map(([key, value]) =>
    `${/^[\p{L}_][\p{L}\p{N}_-]*$/u.test(key) ? key : JSON.stringify(key)}: ${
      JSON.stringify(value)
    }`
  )
  return `${plugin}(${parts.join(", ")})`
}

/** A plugin with its options, those among them included: `scale(of: arm(model: "a"), by: 2)`. */
export function printPlugin({ plugin, options }: PluginNode): string {
  const parts = Object.entries((options ?? {}) as object).map(([key, value]) =>
    `${key}: ${printOption(value)}`
  )
  return `${plugin}(${parts.join(", ")})`
}

function printOption(value: unknown): string {
  if (isPluginNode(value)) return printPlugin(value)
  if (Array.isArray(value)) return `[${value.map(printOption).join(", ")}]`
  if (typeof value !== "object" || value === null) return printValue(value)
  const entries = Object.entries(value).map(([key, inner]) => `${key}: ${printOption(inner)}`)
  return `{ ${entries.join(", ")} }`
}

/** A reward as formulas have it: its name, or `max(a, 0.5*b)`. */
export function printAtom(atom: Atom): string {
  return "name" in atom ? atom.name : `${atom.choose}(${atom.of.map(printSum).join(", ")})`
}

/** A sum inside of `max` or `min`; it has neither base nor schedules. */
function printSum({ constant, terms }: Sum): string {
  const parts: [sign: number, text: string][] = [...terms].map(([text, { factor }]) => {
    const size = Math.abs(factor)
    return [factor, size === 1 ? text : `${printNumber(size)}*${text}`]
  })
  if (constant !== 0 || parts.length === 0) parts.push([constant, printNumber(Math.abs(constant))])
  return parts.reduce(
    (printed, [sign, text]) =>
      printed === ""
        ? `${sign < 0 ? "-" : ""}${text}`
        : `${printed} ${sign < 0 ? "-" : "+"} ${text}`,
    "",
  )
}
