import { assert, assertEquals } from "@std/assert"
import { execFile } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { join, posix } from "node:path"
import process from "node:process"
import { describe, it } from "node:test"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))

/** What the folders of `src` may import: folders, files of `src`, and packages. */
const arrows: Record<string, readonly string[]> = {
  errors: [],
  math: [],
  onnx: ["errors"],
  files: ["errors", "node:", "@huggingface/transformers"],
  llama: ["errors", "files", "onnx"],
  engine: ["errors", "files/model_folder.ts", "llama", "math", "node:", "onnxruntime-node"],
  plugin: ["errors", "onnx", "effect"],
  graph: [
    ...["errors", "plugin", "files/model_ref.ts", "files/write_file.ts"],
    ...["effect", "effect/encoding", "node:"],
  ],
  runtime: ["errors", "engine", "files", "llama", "effect", "node:", "onnxruntime-node"],
  decode: [
    ...["errors", "engine/engine.ts", "graph", "math", "plugin", "runtime/runtime.ts"],
    ...["files/model_ref.ts", "files/progress.ts", "files/tokenizer.ts", "effect"],
  ],
  train: [
    ...["errors", "llama", "onnx", "math", "files", "plugin", "show"],
    ...["effect", "node:", "onnxruntime-node"],
  ],
  evaluate: ["errors", "decode", "graph", "math", "plugin", "effect", "node:"],
  testing: [
    ...["errors", "decode", "engine", "files", "graph", "math", "onnx", "plugin", "runtime"],
    ...["train", "../plugins/builtins.ts", "effect", "node:"],
  ],
  show: ["errors", "decode/types.ts", "graph/explanation.ts", "files/progress.ts", "node:"],
  // The doors compose what the folders offer; plugins come in through one of them only.
  effect: [
    "decode",
    "engine",
    "files",
    "graph",
    "plugin",
    "runtime",
    "train",
    "../plugins/builtins.ts",
  ],
  explain_graph: [
    ...["errors", "files", "graph", "llama", "plugin", "runtime/thread_shares.ts", "show"],
    ...["effect", "node:"],
  ],
  open_pipeline: ["decode", "errors", "files", "graph", "plugin", "runtime", "show", "effect"],
}

/** One import of a file. */
interface Import {
  readonly name: string
  /** Whether it is there at run time. */
  readonly isValue: boolean
}

function filesUnder(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) =>
      posix.join(entry.parentPath.slice(root.length).replaceAll("\\", "/"), entry.name)
    )
    .sort()
}

/** The text of a source file without its comments. */
function codeOf(file: string): string {
  return readFileSync(join(root, file), "utf8")
    .replaceAll(/\/\*[\s\S]*?\*\//g, "")
    .replaceAll(/(^|\s)\/\/.*$/gm, "")
}

function importsOf(file: string): Import[] {
  const code = codeOf(file)
  const statements = code.matchAll(/^(?:import|export)\s+(type\s)?[^"'`;]*?from\s+"([^"]+)"/gm)
  const found = [...statements].map(([, type, name]) => ({ name, isValue: type === undefined }))
  for (const [, name] of code.matchAll(/^import\s+"([^"]+)"/gm)) found.push({ name, isValue: true })
  for (const [, name] of code.matchAll(/\bimport\(\s*"([^"]+)"/g)) {
    found.push({ name, isValue: false })
  }
  return found
}

/** A file of the project from a specifier, or the specifier of a package. */
function resolve(file: string, name: string): string {
  const entries: Record<string, string> = JSON.parse(
    readFileSync(join(root, "deno.json"), "utf8"),
  ).imports
  if (name.startsWith("genarm")) return posix.normalize(entries[name])
  return name.startsWith(".") ? posix.join(posix.dirname(file), name) : name
}

const sources = filesUnder("src")
const plugins = filesUnder("plugins")

describe("the scan of imports", () => {
  it("sees them all, of every form", () => {
    assert(sources.length > 50 && plugins.length > 8)
    const names = importsOf("src/files/tokenizer.ts").map(({ name, isValue }) =>
      `${name} ${isValue}`
    )
    assert(names.includes("../errors.ts true"))
    assert(names.includes("@huggingface/transformers false"), "of a type, and while it runs")
    assert(names.includes("node:path true"))
    const reexports = importsOf("src/plugin/mod.ts").map(({ name }) => name)
    assert(reexports.includes("./reward.ts") && reexports.includes("../errors.ts"))
  })
})

describe("the arrows between the parts", () => {
  for (const file of sources) {
    const [part] = file.slice("src/".length).split(/[/.]/)
    it(`point the right way from ${file}`, () => {
      assert(part in arrows, `src/${part} has no rule in this test: say what it may import`)
      for (const { name } of importsOf(file)) {
        const target = resolve(file, name)
        const inside = target.startsWith("src/") ? target.slice("src/".length) : undefined
        if (inside?.startsWith(`${part}/`)) continue
        const allowed = arrows[part].some((rule) =>
          inside === undefined
            ? posix.join("src", rule) === target || target === rule ||
              rule.endsWith(":") && target.startsWith(rule)
            : inside === rule || inside === `${rule}.ts` || inside.startsWith(`${rule}/`)
        )
        assert(allowed, `${file} may not import ${name}: allowed are ${arrows[part].join(", ")}`)
      }
    })
  }

  it("lead to plugins from the entries only", () => {
    const importing = [...sources, "mod.ts"].filter((file) =>
      importsOf(file).some(({ name }) => resolve(file, name).startsWith("plugins/"))
    )
    assertEquals(importing, ["src/effect.ts", "src/testing/_scope.ts", "mod.ts"])
  })

  it("lead from mod.ts to src and plugins only", () => {
    for (const { name } of importsOf("mod.ts")) assert(/^\.\/(src|plugins)\//.test(name), name)
  })

  const lists = ["plugins/mod.ts", "plugins/builtins.ts"]
  for (const file of plugins.filter((file) => !lists.includes(file))) {
    it(`lead from ${file} to public entries, effect, node and what it shares beside it only`, () => {
      const names = importsOf(file).map(({ name }) => name)
      assert(names.length > 0 || posix.basename(file).startsWith("_"))
      for (const name of names) {
        assert(/^(genarm\/(plugin|math|onnx)$|effect$|node:|\.\/_)/.test(name), name)
      }
    })
  }

  it("go round in no circle, so that any file can be imported first", () => {
    const done = new Set<string>()
    const visit = (file: string, path: readonly string[]): void => {
      assert(!path.includes(file), `a circle of imports: ${[...path, file].join(" -> ")}`)
      if (done.has(file)) return
      for (const { name, isValue } of importsOf(file)) {
        const target = resolve(file, name)
        if (isValue && target.endsWith(".ts")) visit(target, [...path, file])
      }
      done.add(file)
    }
    for (const file of [...sources, ...plugins, "mod.ts"]) visit(file, [])
    assertEquals(done.size, sources.length + plugins.length + 1)
  })
})

describe("source files", () => {
  it("use web and node interfaces only, none of one runtime", () => {
    for (const file of [...sources, ...plugins, "mod.ts"]) {
      const found = codeOf(file).match(/\b(?:Deno|Bun)\.\w+/)
      assertEquals(found, null, `${file} uses ${found}`)
    }
  })

  it("draw no number that no seed fixes, but for seeds", () => {
    for (const file of [...sources, ...plugins, "mod.ts"]) {
      assert(!codeOf(file).includes("Math.random"), file)
    }
  })
})

/** Runs a file by itself, first of all files, in a process of its own. */
function runAlone(file: string): Promise<void> {
  const flags = process.versions.deno === undefined ? [] : ["run", "--allow-all", "--no-check"]
  return new Promise((done, fail) => {
    execFile(process.execPath, [...flags, join(root, file)], { cwd: root }, (error, _, stderr) => {
      if (error === null) done()
      else fail(new Error(`${file} cannot be imported first: ${stderr}`, { cause: error }))
    })
  })
}

describe("in a fresh process", () => {
  it(
    "every source file that is not private can be imported first",
    { timeout: 120_000 },
    async () => {
      const waiting = [...sources, ...plugins, "mod.ts"].filter((file) =>
        !posix.basename(file).startsWith("_")
      )
      const work = async () => {
        for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
          await runAlone(
            file,
          )
        }
      }
      await Promise.all([work(), work()])
      assertEquals(waiting, [])
    },
  )
})
