/**
 * Plugins inside the options of a plugin, as in `union({ of: [kind, funny] })`. Which plugin a name
 * stands for is known to a registry only, not to a schema: the schema marks the places, and what
 * stands there is checked afterwards, under its whole path.
 */
import { Schema, SchemaTransformation } from "effect"
import type { PluginKind, PluginNode } from "./node.ts"
import type { Path } from "./options.ts"

/** What stands at a place for a plugin, yet to be checked. */
class Unchecked {
  readonly kind: PluginKind
  readonly value: unknown

  constructor(kind: PluginKind, value: unknown) {
    this.kind = kind
    this.value = value
  }
}

/** What JSON Schemas call a plugin of a kind. */
export const definitionNames: Readonly<Record<PluginKind, string>> = {
  reward: "RewardPlugin",
  schedule: "SchedulePlugin",
  sampler: "SamplerPlugin",
  strategy: "StrategyPlugin",
  objective: "ObjectivePlugin",
}

/**
 * The schema of a place for a plugin in the options of another. What the plugin gets there is a node
 * that carries its `definition`, whether it was built in code or named by data; filters of the
 * options run before that, and must not look into it.
 *
 * @example
 * ```ts
 * import { Schema } from "effect"
 * import { defineReward, nodeSchema, rewardParts } from "genarm/plugin"
 *
 * // A reward turned upside down.
 * const against = defineReward({
 *   name: "against",
 *   options: Schema.Struct({ of: nodeSchema("reward") }),
 *   sources: ({ of }) => rewardParts([of]).sources,
 *   open: ({ of }, sequence) =>
 *     rewardParts([of]).open(sequence).state((out, parts) => {
 *       parts.score(0, out)
 *       for (let id = 0; id < out.length; id++) if (out[id] !== -Infinity) out[id] = -out[id]
 *     }),
 * })
 * ```
 */
export function nodeSchema<Kind extends PluginKind>(
  kind: Kind,
): Schema.Codec<PluginNode<Kind>, PluginNode<Kind>> {
  return Schema.Unknown.annotate({ identifier: definitionNames[kind] }).pipe(
    Schema.decodeTo(
      Schema.instanceOf(Unchecked),
      SchemaTransformation.transform({
        decode: (value) => new Unchecked(kind, value),
        encode: ({ value }) => value,
      }),
    ),
  ) as unknown as Schema.Codec<PluginNode<Kind>, PluginNode<Kind>>
}

/** Checks a plugin at a place of options. */
export type CheckPart = (kind: PluginKind, value: unknown, path: Path) => PluginNode

/** Decoded options with the plugins inside them checked; `path` is where the options stand. */
export function checkParts(options: unknown, path: Path, check: CheckPart): unknown {
  if (options instanceof Unchecked) return check(options.kind, options.value, path)
  if (Array.isArray(options)) {
    const checked = options.map((value, i) => checkParts(value, [...path, i], check))
    return checked.every((value, i) => value === options[i]) ? options : checked
  }
  if (typeof options !== "object" || options === null) return options
  if (Object.getPrototypeOf(options) !== Object.prototype) return options
  const entries = Object.entries(options)
  const checked = entries.map(([key, value]) => checkParts(value, [...path, key], check))
  return checked.every((value, i) => value === entries[i][1])
    ? options
    : Object.fromEntries(entries.map(([key], i) => [key, checked[i]]))
}
