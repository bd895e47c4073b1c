import { assert, assertEquals } from "@std/assert"
import { existsSync, readFileSync } from "node:fs"
import { describe, it } from "node:test"

const read = (name: string) =>
  JSON.parse(readFileSync(new URL(`../${name}`, import.meta.url), "utf8"))
const deno = read("deno.json")
const node = read("package.json")

describe("the manifests of Deno and Bun", () => {
  it("agree on the version, the licence and the entries", () => {
    assertEquals(deno.version, node.version)
    assertEquals(deno.license, node.license)
    assertEquals(deno.exports, node.exports)
  })

  it("agree on the versions of what is depended on, each pinned", () => {
    const packages = Object.entries<string>(deno.imports)
      .filter(([, target]) => target.startsWith("npm:"))
      .map(([name, target]) => [name, target.slice(`npm:${name}@`.length)])
    assertEquals(Object.fromEntries(packages), node.dependencies)
    for (
      const version of Object.values<string>({ ...node.dependencies, ...node.devDependencies })
    ) {
      assert(/^\d+\.\d+\.\d+$/.test(version), version)
    }
  })

  it("name each entry by the package's name", () => {
    const entries = Object.entries<string>(deno.exports)
      .map(([entry, file]) => [entry.replace(".", node.name), file])
    for (const [name, file] of entries) {
      assertEquals(deno.imports[name], file)
      assert(existsSync(new URL(`../${file}`, import.meta.url)), file)
    }
    const own = Object.keys(deno.imports).filter((name) => name.startsWith(node.name))
    assertEquals(own.sort(), entries.map(([name]) => name).sort())
  })

  it("check the documentation of every entry", () => {
    const files = Object.values<string>(deno.exports).map((file) => file.slice("./".length))
    const [, checked] = deno.tasks.check.command.split("deno doc --lint --no-npm ")
    assertEquals(checked.split(" ").sort(), files.sort())
  })

  it("publish what the entries need", () => {
    for (const part of ["mod.ts", "src/", "plugins/", "LICENSE", "README.md"]) {
      assert(deno.publish.include.includes(part), part)
    }
  })
})

describe("the public entries", () => {
  const names: Record<string, readonly string[]> = {
    "genarm": [
      ...["defineGraph", "openPipeline", "GenArmError", "tableRuntime"],
      ...["defineReward", "defineSchedule", "defineSampler"],
      ...["defineObjective", "train", "createModel", "evaluateGuidance", "lineChart"],
      ...["arm", "contrast", "logitBias", "prompted"],
      ...["linear", "live", "phases", "greedy", "sampling"],
      ...["armPreference", "dpo", "nextToken"],
    ],
    "genarm/effect": [
      "defineGraph",
      "makePipeline",
      "streamTokens",
      "train",
      "Runtime",
      "cpu",
      "webgpu",
      "cuda",
    ],
    "genarm/plugin": [
      ...["defineReward", "defineSchedule", "defineSampler", "defineObjective"],
      "GenArmError",
    ],
    "genarm/math": ["mixInto", "logSumExp", "argmax", "TokenDistribution", "randomStream"],
    "genarm/onnx": ["Tape", "GraphBuilder", "matmul", "softmax", "sum"],
    "genarm/train": [
      ...["createModel", "readPreferences", "readTexts", "splitHeldOut", "tokenizePreferences"],
      ...["trainTokenizer", "writeTokenizer", "openTokenizer"],
    ],
    "genarm/evaluate": ["evaluateGuidance", "compareRows", "distinct", "paretoFront", "winRate"],
    "genarm/testing": ["conformance"],
  }

  it("are all imported here", () => {
    const entries = Object.keys(deno.exports).map((entry) => entry.replace(".", "genarm"))
    assertEquals(Object.keys(names).sort(), entries.sort())
  })

  for (const [entry, expected] of Object.entries(names)) {
    it(`${entry} is found by its name, with what it is known for`, async () => {
      const found = await import(entry)
      for (const name of expected) assert(name in found, `${name} in ${entry}`)
    })
  }

  it("share their classes, whichever they are imported from", async () => {
    const [main, plugin, effect, training] = await Promise.all([
      import("genarm"),
      import("genarm/plugin"),
      import("genarm/effect"),
      import("genarm/train"),
    ])
    assert(main.GenArmError === plugin.GenArmError)
    assert(main.defineReward === plugin.defineReward)
    assert(main.tableRuntime === effect.tableRuntime)
    assert(main.createModel === training.createModel)
  })
})
