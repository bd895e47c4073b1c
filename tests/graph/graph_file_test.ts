import { assert, assertEquals, assertRejects } from "@std/assert"
import { Yaml } from "effect/encoding"
import {
  arm,
  contrast,
  defineReward,
  GenArmError,
  type Graph,
  linear,
  live,
  sampling,
} from "genarm"
import { type RandomStream, randomStream } from "genarm/math"
import { mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join, relative } from "node:path"
import process from "node:process"
import { describe, it } from "node:test"
import { fileURLToPath, pathToFileURL } from "node:url"
import { scale } from "../../plugins/rewards/scale.ts"
import { union } from "../../plugins/rewards/union.ts"
import { type LoadGraphOptions, loadGraphWith, saveGraph } from "../../src/graph/graph_file.ts"
import { locate } from "../../src/graph/plugin_modules.ts"
import { writeYaml } from "../../src/graph/write_yaml.ts"
import { define, names, plugins } from "./_plugins.ts"
import { again, shout } from "./_own_plugins.ts"

const folder = () => mkdtemp(join(tmpdir(), "graph-"))
const load = (file: string | URL, options: LoadGraphOptions = {}): Promise<Graph> =>
  loadGraphWith(plugins, file, options)
const own = fileURLToPath(new URL("./_own_plugins.ts", import.meta.url))
const none = fileURLToPath(new URL("./_no_plugins.ts", import.meta.url))

/** A file with this text. */
async function file(text: string | object, name = "graph.yaml"): Promise<string> {
  const path = join(await folder(), name)
  await writeFile(path, typeof text === "string" ? text : JSON.stringify(text))
  return path
}

async function refuse(
  loading: () => Promise<unknown>,
  reason: object,
  ...parts: string[]
): Promise<void> {
  const error = await assertRejects(loading, GenArmError)
  assertEquals(error.reason, reason as never)
  for (const part of parts) assert(error.message.includes(part), `${part} in: ${error.message}`)
}

const full = define({
  base: { model: "./models/base", weights: "q8", template: "User: {prompt}\nAssistant: " },
  rewards: {
    kind: { reward: arm({ model: "hub:org/kind", revision: "v2" }), weight: 1.5, template: "chat" },
    "max(joke, 0.5*poem)": {
      reward: union({
        of: [arm({ model: "j" }), scale({ of: arm({ adapter: "p" }), by: 0.5 })],
      }),
      weight: linear({ from: 0, to: -1, tokens: 9 }),
    },
    mood: { reward: contrast({ expert: { prefix: "Yes: " }, amateur: "no" }), weight: -1e-7 },
  },
  sampler: sampling({ temperature: 0.7 }),
  stop: ["\n\n", "# END", "'"],
})

describe("a graph in a file", () => {
  for (const name of ["graph.json", "graph.yaml", "graph.yml", "GRAPH.YAML"]) {
    it(`comes back the same from ${name}, by path and by URL`, async () => {
      const path = join(await folder(), "made", name)
      await saveGraph(full, path)
      const graph = await load(path)
      assertEquals(JSON.stringify(graph), JSON.stringify(full))
      assertEquals(String(graph), String(full))
      assertEquals(await load(pathToFileURL(path)), graph)
      assertEquals(await load(pathToFileURL(path).href), graph)
      // Saved again it is the same text.
      const text = await readFile(path, "utf8")
      await saveGraph(graph, pathToFileURL(path))
      assertEquals(await readFile(path, "utf8"), text)
    })
  }

  it("reads as a person would write it", async () => {
    const graph = define({
      base: "./models/base",
      rewards: { kind: { reward: arm({ model: "./models/kind" }), weight: 1 } },
      stop: ["\n"],
    })
    const path = join(await folder(), "graph.yaml")
    await saveGraph(graph, path, { plugins: ["./mine.ts"] })
    assertEquals(
      await readFile(path, "utf8"),
      `plugins: [./mine.ts]
base:
  model: ./models/base
rewards:
  kind:
    reward:
      plugin: arm
      options:
        model: ./models/kind
    weight: 1
sampler:
  plugin: sampling
  options: {}
stop: ["\\n"]
`,
    )
  })

  it("may be a formula, with its rewards beside it", async () => {
    const path = await file(`
$schema: ./graph.schema.json
base: ./models/base
formula: base + 0.5*helpful - 0.2*max(terse, funny)
rewards:
  helpful: { plugin: arm, options: { model: ./models/helpful } }
  terse:
    reward:
      plugin: arm
      options: { model: ./models/terse }
  funny: { plugin: prompted, options: { prefix: "A joke. " } }
`)
    const graph = await load(path)
    assertEquals(String(graph), "base + 0.5*helpful - 0.2*max(terse, funny)")
    await refuse(
      async () =>
        await load(
          await file(`
base: m
formula: base + 2*a
rewards: { a: { reward: { plugin: arm, options: { model: m } }, weight: 1 } }
`),
        ),
      { _tag: "InvalidGraph", path: ["rewards", "a", "weight"] },
      "no weight where there is a formula",
    )
    await refuse(
      async () => await load(await file("base: m\nformula: base + helpful\nrewards: {}\n")),
      { _tag: "InvalidFormula", text: "base + helpful", position: 7 },
      "graph.yaml: there is no reward",
      "\n         ^",
    )
  })

  it("says what is wrong, where, and in which file", async () => {
    const rewards = (reward: string) =>
      `base: m\nrewards:\n  x:\n    weight: 1\n    reward: ${reward}\n`
    const path = await file(rewards("{ plugin: amr, options: { model: m } }"))
    await refuse(
      () => load(path),
      { _tag: "UnknownPlugin", kind: "reward", name: "amr", known: names("reward") },
      `${path}: there is no reward plugin "amr": did you mean "arm"?, at rewards.x.reward; known are`,
    )
    await refuse(
      async () => await load(await file(rewards("{ plugin: arm, options: { modle: m } }"))),
      { _tag: "InvalidGraph", path: ["rewards", "x", "reward", "options", "modle"] },
      'did you mean "model"',
      "at rewards.x.reward.options.modle",
    )
    await refuse(
      async () =>
        await load(
          await file(
            rewards("{ plugin: union, options: { of: [{ plugin: scael, options: {} }] } }"),
          ),
        ),
      { _tag: "UnknownPlugin", kind: "reward", name: "scael", known: names("reward") },
      'did you mean "scale"?, at rewards.x.reward.options.of[0]',
    )
    await refuse(
      async () => await load(await file("base: m\nreward: {}\n")),
      { _tag: "InvalidGraph", path: ["reward"] },
      'did you mean "rewards"',
    )
    for (const text of ["- a", "a", "null", '"x"']) {
      const path = await file(text)
      await refuse(() => load(path), { _tag: "InvalidGraph", path: [] }, path, "expected an object")
    }
    await refuse(
      async () => await load(await file("base: m\nplugins: ./x.ts\n")),
      { _tag: "InvalidGraph", path: ["plugins"] },
    )
    await refuse(
      async () => await load(await file("base: m\nformula: 7\n")),
      { _tag: "InvalidGraph", path: ["formula"] },
    )
    await refuse(
      async () => await load(await file("base: m\nformula: base\nrewards: 7\n")),
      { _tag: "InvalidGraph", path: ["rewards"] },
    )
  })

  it("says when it cannot be read, or is neither JSON nor YAML", async () => {
    const missing = join(await folder(), "no.json")
    await refuse(() => load(missing), { _tag: "InvalidGraphFile", file: missing }, "cannot be read")
    const json = await file("{ base: m }", "graph.json")
    await refuse(() => load(json), { _tag: "InvalidGraphFile", file: json }, "is not JSON")
    const yaml = await file("base: [m", "graph.yaml")
    await refuse(() => load(yaml), { _tag: "InvalidGraphFile", file: yaml }, "is not YAML")
    for (const name of ["graph.toml", "graph", ""]) {
      const reason = { _tag: "InvalidOption", path: ["file"] }
      await refuse(() => load(name), reason, ".json, .yaml or .yml")
      await refuse(() => saveGraph(full, name), reason, ".json, .yaml or .yml")
    }
    await refuse(() => load(7 as never), { _tag: "InvalidOption", path: ["file"] }, "found 7")
    await refuse(
      () => load(json, { alow: [] } as never),
      { _tag: "InvalidOption", path: ["alow"] },
      'did you mean "allow"',
    )
  })

  it("holds graphs only, and no live values", async () => {
    const path = join(await folder(), "graph.json")
    await refuse(
      () => saveGraph({ base: "m" } as never, path),
      { _tag: "InvalidOption", path: ["graph"] },
      "defineGraph",
    )
    const mood = define({
      base: "m",
      rewards: { x: { reward: arm({ model: "x" }), weight: live(1) } },
    })
    await refuse(
      () => saveGraph(mood, path),
      { _tag: "InvalidGraph", path: ["rewards", "x", "weight"] },
      "live",
    )
    const taken = join(await file("text"), "graph.json") // a file where a folder should be
    await refuse(() => saveGraph(full, taken), { _tag: "WriteFailed", file: taken })
  })
})

describe("plugins that a file imports", () => {
  const spec = (from: string) => ({
    plugins: [from],
    base: "m",
    rewards: {
      loud: {
        reward: { plugin: "shout", options: { loudness: 2 } },
        weight: { plugin: "everyOther", options: {} },
      },
    },
  })
  const notAllowed = (specifier: string, allowed: readonly string[]) => ({
    _tag: "PluginNotAllowed",
    specifier,
    allowed,
  })

  it("are found by path beside the file and by URL, once they are allowed", async () => {
    const path = join(await folder(), "graph.json")
    const here = `./${relative(process.cwd(), own)}`.replaceAll("\\", "/")
    for (
      const from of [
        own,
        pathToFileURL(own).href,
        relative(dirname(path), own).replaceAll("\\", "/"),
      ]
    ) {
      await writeFile(path, JSON.stringify(spec(from)))
      for (const entry of [here, own, pathToFileURL(own).href]) {
        const graph = await load(path, { allow: ["./other.ts", entry] })
        assertEquals(String(graph), "base + everyOther()*loud")
        assertEquals(graph.rewards.loud.reward, shout({ loudness: 2 }))
      }
      await refuse(
        () => load(path, { allow: ["./other.ts"] }),
        notAllowed(from, ["./other.ts"]),
        `${path} asks for plugins from "${from}"`,
        `allow: [${JSON.stringify(here)}]`,
      )
    }
  })

  it("are not run before, nor allowed by the same path from elsewhere", async () => {
    const inner = await folder()
    await mkdir(join(inner, "tests", "graph"), { recursive: true })
    const here = `./${relative(process.cwd(), none)}`.replaceAll("\\", "/")
    await writeFile(join(inner, here), 'globalThis.importedNoPlugins = "the wrong one"')
    const path = join(inner, "graph.json")
    await writeFile(path, JSON.stringify(spec(here)))
    await refuse(() => load(path, { allow: [here] }), notAllowed(here, [here]))
    const outside = await file(spec(none), "graph.json")
    await refuse(() => load(outside), notAllowed(none, []))
    assertEquals(globalThis.importedNoPlugins, undefined)
    await refuse(
      () => load(outside, { allow: [none] }),
      { _tag: "PluginFailed", plugin: none },
      "exports no plugin",
      "found nothing",
    )
    assertEquals(globalThis.importedNoPlugins, true)
  })

  it("may be packages, allowed by their name alone", async () => {
    const path = await file(spec("npm:no-such-package-of-plugins@1"), "graph.json")
    const specifier = "npm:no-such-package-of-plugins@1"
    await refuse(
      () => load(path, { allow: ["npm:no-such-package-of-plugins"] }),
      process.versions.deno === undefined
        ? { _tag: "PluginFailed", plugin: specifier }
        : notAllowed(specifier, ["npm:no-such-package-of-plugins"]),
    )
    assertEquals(locate("npm:a@1/b.js", path, true), "npm:a@1/b.js")
    assertEquals(locate("npm:a@^1.2/b.js", path, false), "a/b.js")
    assertEquals(locate("npm:/@x/a@1", path, false), "@x/a")
    assertEquals(locate("@x/a", path, false), "@x/a")
    assertEquals(locate("jsr:@x/a@1", path, false), "jsr:@x/a@1")
  })

  it("say so when they cannot be imported", async () => {
    const missing = join(await folder(), "missing.ts")
    const path = await file(spec(missing), "graph.json")
    await refuse(
      () => load(path, { allow: [missing] }),
      { _tag: "PluginFailed", plugin: missing },
      "could not be imported",
    )
  })

  it("may be given by the program instead, but not under a name that is taken", async () => {
    const { plugins: _, ...plain } = spec("")
    const loud = { ...plain, rewards: { loud: { ...plain.rewards.loud, weight: 1 } } }
    const path = await file(loud, "graph.json")
    assertEquals(String(await load(path, { plugins: [shout] })), "base + 1.0*loud")
    assertEquals(String(await load(path, { plugins: [shout, again] })), "base + 1.0*loud")
    const other = defineReward({ name: "arm", open: () => ({ score: (_, out) => out.fill(0) }) })
    await refuse(
      () => load(path, { plugins: [shout, other] }),
      { _tag: "InvalidOption", path: ["plugins", 1] },
      'a reward plugin "arm" already',
    )
    await refuse(
      () => load(path, { plugins: [shout({ loudness: 1 }) as never] }),
      { _tag: "InvalidOption", path: ["plugins", 0] },
      "expected a plugin",
    )
  })
})

/** Random JSON data, with texts that YAML would read otherwise. */
function randomData(stream: RandomStream, depth: number): unknown {
  const pick = (count: number) => Math.floor(stream.nextUniform() * count)
  const odd = [
    ..."yes|no|null|~|true|1|1.0|1e3|-|- a|a: b|a:b|a #b|#b|'|\"|{a}|[a]|&a|*a|!a|%a|@a|`a".split(
      "|",
    ),
    ...[
      "|",
      ">",
      "",
      " ",
      " a",
      "a ",
      "a\nb",
      "\n",
      "\t",
      "ä",
      "日本",
      "😀",
      "\\n",
      "<<",
      "2024-01-01",
      "0x1f",
    ],
    ...[
      "./a b",
      "./a",
      "a/b-c.d",
      ".",
      "..",
      "---",
      "...",
      "\u2028",
      "\u0000",
      "max(a, 0.5*b)",
      "=",
      "a,b",
    ],
  ]
  const text = () => odd[pick(odd.length)]
  const size = pick(4)
  switch (depth === 0 ? pick(3) : pick(5)) {
    case 0:
      return text()
    case 1:
      return [0, -1, 0.1, 1e-7, 1e21, 12345678901234][pick(6)]
    case 2:
      return [true, false, null][pick(3)]
    case 3:
      return Array.from({ length: size }, () => randomData(stream, depth - 1))
    default:
      return Object.fromEntries(
        Array.from({ length: size }, () => [text(), randomData(stream, depth - 1)]),
      )
  }
}

describe("YAML", () => {
  it("that is written is read as the same data", () => {
    for (let seed = 0; seed < 1_000; seed++) {
      const data = randomData(randomStream(seed), 4)
      const text = writeYaml(data)
      assertEquals(Yaml.parse(text), data, text)
    }
  })
})
