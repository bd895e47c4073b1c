/**
 * A plugin at its place in a graph: its name and options, as data. A node built in code also carries
 * its definition under a symbol, which `JSON.stringify` leaves out, so that a plugin of one's own
 * needs no registration.
 */
import { Schema } from "effect"
import { type CheckPart, checkParts } from "./node_schema.ts"
import { decodeAt, type Path, printValue } from "./options.ts"
import { type CheckTag, wrongPlugin } from "./wrong_plugin.ts"

/** What a plugin is for. */
export type PluginKind = "reward" | "schedule" | "sampler" | "strategy" | "objective"

/** What all plugin definitions share. */
export interface PluginDefinition<Kind extends PluginKind, Options> {
  /** The name graphs use. */
  readonly name: string
  /** Checks the options and fills in defaults; a plugin without it takes none. */
  readonly options?: Schema.Codec<Options, unknown>
  /** @internal */
  readonly kind?: Kind
}

/** The key under which a node carries its definition. */
export const definition: unique symbol = Symbol.for("genarm/plugin/definition")

/** Marks a node that cannot be saved, with the reason. */
export const transient: unique symbol = Symbol.for("genarm/plugin/transient")

/** A plugin with its options. */
export interface PluginNode<Kind extends PluginKind = PluginKind> {
  /** The plugin's name. */
  readonly plugin: string
  /** Its options, checked, as data. */
  readonly options: unknown
  /** Its definition, for nodes built in code. */
  readonly [definition]?: PluginDefinition<Kind, unknown>
  /** Why the node cannot be saved, where it cannot. */
  readonly [transient]?: string
}

/** The options of a plugin that takes none. */
export type NoOptions = Readonly<Record<never, never>>

/** A plugin: called with its options, which may be left out where none is required, it gives a node. */
export interface PluginFactory<Kind extends PluginKind, Options, Definition> {
  (
    ...options: NoOptions extends Options ? [options?: Options] : [options: Options]
  ): PluginNode<Kind>
  /** What was defined, for registries. */
  readonly definition: Definition
}

// A struct without fields would take anything.
const noOptions = Schema.Record(
  Schema.String,
  Schema.Never.annotate({ message: "Expected no options" }),
)

/** Makes the factory of a definition. */
export function pluginFactory<Kind extends PluginKind, Options, Definition extends object>(
  kind: Kind,
  plugin: Definition & PluginDefinition<Kind, unknown>,
): PluginFactory<Kind, Options, Definition> {
  const complete = { ...plugin, kind }
  const create = (options?: unknown): PluginNode<Kind> =>
    checkedNode(complete, options, [], "InvalidOption", builtNode)
  return Object.assign(create, { definition: complete }) as unknown as PluginFactory<
    Kind,
    Options,
    Definition
  >
}

/** A node whose options have been checked; `path` is where they stand. */
export function checkedNode<Kind extends PluginKind>(
  plugin: PluginDefinition<Kind, unknown>,
  options: unknown,
  path: Path,
  tag: CheckTag,
  checkPart: CheckPart,
): PluginNode<Kind> {
  const schema = (plugin.options ?? noOptions) as Schema.Codec<unknown, unknown>
  const decoded = decodeAt(schema, options === undefined ? {} : options, path, tag)
  const checked = checkParts(decoded, path, checkPart)
  return Object.freeze({ plugin: plugin.name, options: freezeData(checked), [definition]: plugin })
}

/** A node among the options of another in code, where no registry knows names. */
function builtNode(kind: PluginKind, value: unknown, path: Path): PluginNode {
  const node = fromFactory(value)
  const found = isPluginNode(node) ? node[definition] : undefined
  if (found === undefined) {
    const data = isPluginNode(node) ? ", which is data: call the plugin, or give all as data" : ""
    throw wrongPlugin(kind, `${printValue(value)}${data}`, path, "InvalidOption")
  }
  if (found.kind !== kind) {
    throw wrongPlugin(kind, `the ${found.kind} plugin "${found.name}"`, path, "InvalidOption")
  }
  if (node === value) return node as PluginNode
  return checkedNode(found, undefined, [...path, "options"], "InvalidOption", builtNode)
}

/** Freezes plain data throughout; what else options may hold (a typed array) stays as it is. */
function freezeData<A>(value: A): A {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value
  // A node has been frozen as far as it may be: a live one changes.
  if (definition in value) return value
  const prototype: unknown = Object.getPrototypeOf(value)
  if (![Object.prototype, Array.prototype, null].includes(prototype as never)) return value
  for (const inner of Object.values(value)) freezeData(inner)
  return Object.freeze(value)
}

/** Whether a value is a node; a factory used without being called is not. */
export function isPluginNode(value: unknown): value is PluginNode {
  return typeof value === "object" && value !== null &&
    typeof (value as PluginNode).plugin === "string"
}

/** A plugin that was not called stands for itself without options, which are yet to be checked. */
export function fromFactory(value: unknown): unknown {
  if (typeof value !== "function" || !("definition" in value)) return value
  const plugin = value.definition as PluginDefinition<PluginKind, unknown>
  return { plugin: plugin.name, [definition]: plugin }
}
