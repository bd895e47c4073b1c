import { assert, assertEquals, assertStringIncludes } from "@std/assert"
import * as everything from "genarm"
import { execFile } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { after, before, describe, it } from "node:test"
import { fileURLToPath } from "node:url"
import { builtins } from "../../plugins/builtins.ts"
import { type Snippet, snippetsOf } from "./_guide.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const platform = "Deno" in globalThis ? "deno" : "bun"
const config = ["--config", join(root, "deno.json")]
const testFlags = platform === "deno" ? ["--allow-all", "--no-check", ...config] : []
const runFlags = platform === "deno" ? ["run", ...testFlags] : []

/** What a process did. */
interface Outcome {
  readonly failed: boolean
  readonly stdout: string
  readonly stderr: string
}

/** Runs the runtime that runs this test. */
function run(cwd: string, args: readonly string[]): Promise<Outcome> {
  const env = { ...process.env, NO_COLOR: "1" }
  return new Promise((done) =>
    execFile(
      process.execPath,
      args,
      { cwd, env, timeout: 110_000 },
      (error, stdout, stderr) => done({ failed: error !== null, stdout, stderr }),
    )
  )
}

const guides = new URL("../../examples/guides/", import.meta.url)

/** A guide, and where its snippets are. */
class Guide {
  readonly name: string
  readonly folder: string
  readonly snippets: readonly Snippet[]
  readonly tests: readonly Snippet[]
  readonly scripts: readonly Snippet[]
  #printed: Promise<ReadonlyMap<string, string>> | undefined

  constructor(name: string, work: string) {
    this.name = name
    this.folder = join(work, name.replace(".md", ""))
    this.snippets = snippetsOf(new URL(name, guides)).filter(({ on = platform }) => on === platform)
    this.tests = this.snippets.filter(({ file }) => file.endsWith("_test.ts"))
    this.scripts = this.snippets.filter((snippet) => !this.tests.includes(snippet))
  }

  /** Makes a folder beside the examples, as the guides have it. */
  write(): void {
    mkdirSync(join(this.folder, "node_modules"), { recursive: true })
    // Bun finds packages so, and Deno by the project's manifest.
    symlinkSync(root, join(this.folder, "node_modules", "genarm"))
    symlinkSync(join(root, "node_modules/effect"), join(this.folder, "node_modules", "effect"))
    writeFileSync(join(this.folder, "package.json"), '{ "type": "module" }\n')
    writeFileSync(join(this.folder, "_in_turn.ts"), inTurn(this.scripts.map(({ file }) => file)))
    for (const { file, code } of this.snippets) writeFileSync(join(this.folder, file), code)
  }

  /** What each script printed; all are run when the first is asked for. */
  printed(): Promise<ReadonlyMap<string, string>> {
    return this.#printed ??= run(this.folder, [...runFlags, "_in_turn.ts"]).then(({ stdout }) => {
      const parts = stdout.split(/^=== (\w+\.ts)\n/m).slice(1)
      return new Map(parts.flatMap((file, i) => i % 2 === 0 ? [[file, parts[i + 1]]] : []))
    })
  }
}

/** Imports scripts one after the other: one process for all, as starting one takes longer than they do. */
const inTurn = (files: readonly string[]) =>
  `for (const file of ${JSON.stringify(files)}) {
  console.log("=== " + file)
  try {
    await import("./" + file)
  } catch (error) {
    console.log("failed:", error)
  }
}
`

describe("the guides", { timeout: 300_000 }, () => {
  const work = mkdtempSync(join(tmpdir(), "genarm-guides-"))
  const all = readdirSync(guides).filter((file) => file.endsWith(".md"))
    .map((name) => new Guide(name, work))
  before(() => {
    symlinkSync(join(root, "examples"), join(work, "examples"))
    for (const guide of all) guide.write()
  })
  after(() => rmSync(work, { recursive: true }))

  const denoIt = platform === "deno" ? it : it.skip
  denoIt("have snippets of the right types (which Deno checks)", async () => {
    const files = all.flatMap(({ folder, snippets }) =>
      snippets.map(({ file }) => join(folder, file))
    )
    const [{ failed, stderr }] = await Promise.all([
      run(work, ["check", ...config, ...files]),
      ...all.map((guide) => guide.printed()), // meanwhile
    ])
    assertEquals(failed, false, stderr)
  })

  for (const guide of all) {
    const { name, folder, snippets, scripts, tests } = guide
    it(`${name} says what most snippets print`, () => {
      const shown = snippets.filter(({ prints }) => prints !== undefined)
      assert(shown.length > snippets.length / 2, `${shown.length} of ${snippets.length}`)
    })

    for (const { file, line, prints = "" } of scripts) {
      it(`${name}:${line} (${file}) prints what is said there`, async () => {
        assertEquals((await guide.printed()).get(file), prints)
      })
    }

    for (const { file, line } of tests) {
      it(`${name}:${line} (${file}) passes`, async () => {
        const { failed, stdout, stderr } = await run(folder, ["test", ...testFlags, `./${file}`])
        assertEquals(failed, false, stdout + stderr)
        const passed = Number((stdout + stderr).match(/(\d+) pass/)?.[1])
        assert(passed > 1, stdout + stderr)
      })
    }
  }
})

describe("the guides and the README", () => {
  it("name every plugin", () => {
    const readme = readFileSync(join(root, "README.md"), "utf8")
    const choice = readFileSync(new URL("which_sampler_or_schedule.md", guides), "utf8")
    for (const [kind, plugins] of Object.entries(builtins)) {
      for (const { name } of plugins) {
        assertStringIncludes(readme, `\`${name}\``)
        if (!["reward", "objective"].includes(kind)) assertStringIncludes(choice, `\`${name}\``)
      }
    }
    // What is no data, and so in no registry.
    for (const name of ["scorer", "classifier", "trajectory", "live", "trainGate"]) {
      assert(name in everything)
      assertStringIncludes(readme, `\`${name}`)
    }
  })
})
