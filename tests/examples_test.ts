import { assert, assertMatch, assertStringIncludes } from "@std/assert"
import { execFile } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { describe, it } from "node:test"
import process from "node:process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

const root = fileURLToPath(new URL("..", import.meta.url))
const isDeno = "Deno" in globalThis
const run = (...args: string[]) =>
  promisify(execFile)(process.execPath, args, { cwd: root, timeout: 60_000 })

/** Runs a script of the project with the runtime that runs this test. */
const script = (path: string, ...args: string[]) =>
  isDeno ? run("run", "--allow-all", "--no-check", path, ...args) : run(path, ...args)

interface Notebook {
  readonly cells: readonly { readonly cell_type: string; readonly source: readonly string[] }[]
}

describe("an example", { timeout: 120_000 }, () => {
  it("turns a story while it is written", async () => {
    const { stdout, stderr } = await script("examples/01_guided_story.ts")
    assertMatch(stdout, /^ ?Lily .+\./)
    assertStringIncludes(stderr, "No model was named") // and how to name one
  })

  it("shows base and guided text side by side, without colours where there is no terminal", async () => {
    const { stdout } = await script("examples/demo.ts")
    assertStringIncludes(stdout, "prompted:")
    assertStringIncludes(stdout, "contrast:")
    for (const weight of ["0.0", "2.0", "-0.5", "5.0", "-5.0"]) {
      assertStringIncludes(stdout, `weight ${weight.padStart(4)}`)
    }
    assert(!stdout.includes("\x1b"))
  })

  it("runs on a folder that is named", async () => {
    const { stdout, stderr } = await script("examples/demo.ts", "tests/fixtures/models/llama3")
    assertStringIncludes(stdout, "weight  5.0")
    assertMatch(stderr, /^(?![^]*No model was named)/)
  })

  it("says what is wrong with a folder that is not there", async () => {
    const failure = await script("examples/demo.ts", "./nowhere").then(
      () => undefined,
      (error: { stderr: string; code: number }) => error,
    )
    assertStringIncludes(failure?.stderr ?? "", "there is no folder")
  })
})

describe("a notebook", { timeout: 120_000 }, () => {
  const folder = new URL("../examples/notebooks/", import.meta.url)
  for (const name of readdirSync(folder).filter((file) => file.endsWith(".ipynb"))) {
    it(`${name} runs from its first cell to its last`, async () => {
      const { cells }: Notebook = JSON.parse(readFileSync(new URL(name, folder), "utf8"))
      const code = cells.filter((cell) => cell.cell_type === "code")
        .map(({ source }) => source.join(""))
        .join("\n;\n")
        // Cells run in the notebook's folder, and this from the root.
        .replaceAll('"../_', '"./examples/_')
      const { stdout } = isDeno ? await run("eval", "--no-check", code) : await run("-e", code)
      assertMatch(stdout, /-?\d+\.\d+ -?\d+\.\d+ -?\d+\.\d+/)
    })
  }
})
