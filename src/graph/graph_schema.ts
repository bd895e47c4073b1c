/** A JSON Schema of graph files, for editors: what may stand where, and what it is called. */
import { Schema } from "effect"
import type { PluginDefinition, PluginKind } from "../plugin/node.ts"
import { definitionNames } from "../plugin/node_schema.ts"
import type { Plugins } from "../plugin/registry.ts"
import { modelRefSchema } from "../plugin/model_ref_schema.ts"

/** A JSON Schema, draft 2020-12, as plain data. */
export type JsonSchema = { readonly [key: string]: unknown }

/** The kinds of plugins that a graph holds. */
const kinds = ["reward", "schedule", "sampler", "strategy"] as const

/**
 * The JSON Schema of the files that `loadGraph` reads, with the options of the given plugins. What only
 * a program can check (that a schedule's phases follow each other, say) is left to it.
 */
export function graphSchemaOf(plugins: Plugins): JsonSchema {
  const definitions: Record<string, JsonSchema> = {}
  for (const kind of kinds) {
    definitions[definitionNames[kind]] = {
      anyOf: plugins[kind].map((plugin) => nodeSchemaOf(plugin, definitions)),
    }
  }
  const reward = refTo("reward")
  const text = { type: "string", minLength: 1 }
  const template = { type: "string", description: '"none", "chat" or a text with {prompt} in it' }
  const strict = { type: "object", additionalProperties: false }
  const term = {
    ...strict,
    properties: {
      reward,
      weight: { anyOf: [{ type: "number" }, refTo("schedule")] },
      template,
    },
    required: ["reward"],
  }
  const model = documentOf(modelRefSchema, definitions)
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "A generation graph",
    ...strict,
    properties: {
      $schema: { type: "string" },
      plugins: {
        description: "Modules of plugins to import: paths beside the file, URLs, names of packages",
        type: "array",
        items: text,
      },
      base: { description: "The model that is guided", anyOf: [text, model] },
      formula: {
        ...text,
        description: "The weights of the rewards, as in base + 0.5*helpful - 0.2*terse",
      },
      rewards: {
        description: "Rewards by name; with a formula they have no weights",
        type: "object",
        additionalProperties: { anyOf: [term, reward] },
      },
      sampler: refTo("sampler"),
      strategy: refTo("strategy"),
      stop: { description: "Strings that end a text", type: "array", items: text },
    },
    required: ["base"],
    // Terms have weights, unless a formula gives them.
    if: { required: ["formula"] },
    then: {
      properties: {
        rewards: { additionalProperties: { not: { required: ["weight"] } } },
      },
    },
    else: {
      properties: { rewards: { additionalProperties: { required: ["reward", "weight"] } } },
    },
    $defs: definitions,
  }
}

function refTo(kind: PluginKind): JsonSchema {
  return { $ref: `#/$defs/${definitionNames[kind]}` }
}

/** The schema of a plugin at its place in a graph. */
function nodeSchemaOf(
  { name, options }: Pick<PluginDefinition<PluginKind, unknown>, "name" | "options">,
  definitions: Record<string, JsonSchema>,
): JsonSchema {
  const inside = options === undefined
    ? { type: "object", additionalProperties: false }
    : documentOf(options, definitions)
  const required = (inside as { readonly required?: readonly string[] }).required ?? []
  return {
    type: "object",
    properties: { plugin: { const: name }, options: inside },
    required: required.length > 0 ? ["plugin", "options"] : ["plugin"],
    additionalProperties: false,
  }
}

/** The JSON Schema of what stands in a file; what it refers to is added to the definitions. */
function documentOf(
  schema: Schema.Codec<unknown, unknown>,
  definitions: Record<string, JsonSchema>,
): JsonSchema {
  const document = jsonSchemaOf(schema)
  for (const [name, definition] of Object.entries(document.definitions)) {
    if (kindOf(name) === undefined) definitions[name] = withRefs(definition) as JsonSchema
  }
  return withRefs(document.schema) as JsonSchema
}

function jsonSchemaOf(schema: Schema.Codec<unknown, unknown>) {
  try {
    return Schema.toJsonSchemaDocument(Schema.toEncoded(schema), { onExcessProperty: "error" })
  } catch {
    return { schema: {}, definitions: {} } // what has no JSON form, an editor cannot check
  }
}

/** References to places for plugins lead to the plugins. */
function withRefs(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withRefs)
  if (typeof schema !== "object" || schema === null) return schema
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => {
      const kind = key === "$ref" && typeof value === "string"
        ? kindOf(value.slice("#/$defs/".length))
        : undefined
      return [key, kind === undefined ? withRefs(value) : refTo(kind).$ref]
    }),
  )
}

/** The kind that a definition stands for; the encoded side of a schema has a suffix. */
function kindOf(definition: string): PluginKind | undefined {
  return (Object.keys(definitionNames) as PluginKind[]).find((kind) =>
    definition === definitionNames[kind] || definition === `${definitionNames[kind]}Encoded`
  )
}
