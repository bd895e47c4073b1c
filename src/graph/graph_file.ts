/** Graphs in files: JSON or YAML, as the name ends. */
import { Schema } from "effect"
import { Yaml } from "effect/encoding"
import { readFile } from "node:fs/promises"
import { extname, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { GenArmError, messageOf } from "../errors.ts"
import { writeFileAtomic } from "../files/write_file.ts"
import { decodeAt, printPath, printValue } from "../plugin/options.ts"
import { type AnyPlugin, type Plugins, withPlugins } from "../plugin/registry.ts"
import { defineGraphWith } from "./define_graph.ts"
import { type Graph, isGraph } from "./graph.ts"
import { parseFormula } from "./parse_formula.ts"
import { importPlugins } from "./plugin_modules.ts"
import { writeYaml } from "./write_yaml.ts"

/** Options of `loadGraph`. */
export interface LoadGraphOptions {
  /** Plugins that the file may name, beside those that come with the SDK. */
  readonly plugins?: readonly AnyPlugin[]
  /**
   * Modules that the file may import plugins from, as its `plugins` has them; files are named by paths
   * from the working directory, or by URLs. Importing a module runs its code.
   */
  readonly allow?: readonly string[]
}

/** Options of `saveGraph`. */
export interface SaveGraphOptions {
  /** Modules that the graph's own plugins come from: names of packages, URLs, paths beside the file. */
  readonly plugins?: readonly string[]
}

const loadOptions = Schema.Struct({
  plugins: Schema.optionalKey(Schema.Array(Schema.Any)),
  allow: Schema.optionalKey(Schema.Array(Schema.NonEmptyString)),
})
const saveOptions = Schema.Struct({
  plugins: Schema.optionalKey(Schema.Array(Schema.NonEmptyString)),
})

/** What a file holds beside a spec; the rest is checked as that. */
const fileSchema = Schema.Struct({
  $schema: Schema.optionalKey(Schema.String),
  plugins: Schema.optionalKey(Schema.Array(Schema.NonEmptyString)),
  formula: Schema.optionalKey(Schema.NonEmptyString),
})

/** `loadGraph` with the given plugins at hand. */
export async function loadGraphWith(
  known: Plugins,
  file: string | URL,
  options: LoadGraphOptions = {},
): Promise<Graph> {
  const { plugins = [], allow = [] } = decodeAt(loadOptions, options, [], "InvalidOption")
  const path = pathOf(file)
  const data = await readData(path)
  return await inFile(path, async () => {
    if (typeof data !== "object" || data === null || Array.isArray(data)) {
      throw new GenArmError(
        { _tag: "InvalidGraph", path: [] },
        `expected an object with base, rewards ..., found ${printValue(data)}`,
      )
    }
    const { $schema, plugins: modules, formula, ...spec } = data as Record<string, unknown>
    const beside = decodeAt(
      fileSchema,
      {
        ...$schema !== undefined && { $schema },
        ...modules !== undefined && { plugins: modules },
        ...formula !== undefined && { formula },
      },
      [],
      "InvalidGraph",
    )
    let registry = withPlugins(known, plugins)
    for (const specifier of beside.plugins ?? []) {
      registry = withPlugins(registry, await importPlugins(specifier, path, allow))
    }
    if (beside.formula === undefined) return defineGraphWith(registry, spec as never)
    const { rewards } = spec
    if (rewards !== undefined && (typeof rewards !== "object" || rewards === null)) {
      return defineGraphWith(registry, spec as never) // which says what is wrong
    }
    refuseWeights(rewards ?? {})
    return defineGraphWith(registry, parseFormula(beside.formula, spec as never))
  })
}

/**
 * Saves a graph as JSON or YAML, as the name of the file ends; a file that is there is replaced whole
 * or not at all. Folders of models are written as the graph has them: relative ones are relative to
 * the working directory, not to the file.
 *
 * @throws {GenArmError} `InvalidGraph` with the path of what no file can hold, such as a live weight;
 * `InvalidOption`; `WriteFailed`.
 *
 * @example
 * ```ts
 * import { arm, defineGraph, loadGraph, saveGraph } from "genarm"
 * import { assertEquals } from "@std/assert"
 * import { mkdtemp } from "node:fs/promises"
 * import { tmpdir } from "node:os"
 * import { join } from "node:path"
 *
 * const graph = defineGraph({
 *   base: "./models/base",
 *   rewards: { helpful: { reward: arm({ model: "./models/helpful" }), weight: 1 } },
 * })
 * const file = join(await mkdtemp(join(tmpdir(), "graph-")), "helpful.yaml")
 * await saveGraph(graph, file)
 * assertEquals(String(await loadGraph(file)), String(graph))
 * ```
 */
export async function saveGraph(
  graph: Graph,
  file: string | URL,
  options: SaveGraphOptions = {},
): Promise<void> {
  const { plugins } = decodeAt(saveOptions, options, [], "InvalidOption")
  const path = pathOf(file)
  if (!isGraph(graph)) {
    throw new GenArmError(
      { _tag: "InvalidOption", path: ["graph"] },
      `expected a graph as defineGraph gives it, found ${printValue(graph)}`,
    )
  }
  const data = { ...plugins && { plugins }, ...JSON.parse(JSON.stringify(graph)) }
  const text = isYaml(path) ? writeYaml(data) : `${JSON.stringify(data, null, 2)}\n`
  await writeFileAtomic(path, text)
}

function pathOf(file: string | URL): string {
  const isUrl = file instanceof URL || typeof file === "string" && file.startsWith("file:")
  const path = isUrl ? fileURLToPath(file) : file
  if (typeof path === "string" && /^\.(json|ya?ml)$/i.test(extname(path))) return resolve(path)
  throw new GenArmError(
    { _tag: "InvalidOption", path: ["file"] },
    `expected a file whose name ends in .json, .yaml or .yml, found ${printValue(file)}`,
  )
}

function isYaml(path: string): boolean {
  return /^\.ya?ml$/i.test(extname(path))
}

async function readData(path: string): Promise<unknown> {
  const refuse = (what: string, cause: unknown) =>
    new GenArmError({ _tag: "InvalidGraphFile", file: path }, `${path} ${what}`, { cause })
  let text: string
  try {
    text = await readFile(path, "utf8")
  } catch (error) {
    throw refuse(`cannot be read: ${messageOf(error)}`, error)
  }
  try {
    return isYaml(path) ? Yaml.parse(text) : JSON.parse(text)
  } catch (error) {
    throw refuse(`is not ${isYaml(path) ? "YAML" : "JSON"}: ${messageOf(error)}`, error)
  }
}

/** Runs what may find the contents wrong; its errors then name the file. */
async function inFile<A>(path: string, run: () => Promise<A>): Promise<A> {
  try {
    return await run()
  } catch (error) {
    if (!(error instanceof GenArmError) || error.message.startsWith(path)) throw error
    throw new GenArmError(error.reason, `${path}: ${error.message}`, { cause: error })
  }
}

/** A formula gives the weights; others beside it would be ignored. */
function refuseWeights(rewards: object): void {
  for (const [name, reward] of Object.entries(rewards)) {
    if (typeof reward !== "object" || reward === null || !("weight" in reward)) continue
    const path = ["rewards", name, "weight"]
    throw new GenArmError(
      { _tag: "InvalidGraph", path },
      `expected no weight where there is a formula, found ${printValue(reward.weight)}, at ${
        printPath(path)
      }`,
    )
  }
}
