import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert"
import { execFile } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, it } from "node:test"
import process from "node:process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

const root = fileURLToPath(new URL("..", import.meta.url))
const isDeno = "Deno" in globalThis
const run = (...args: string[]) =>
  promisify(execFile)(process.execPath, args, { cwd: root, timeout: 110_000 })

/** Runs a script of the project with the runtime that runs this test. */
const script = (path: string, ...args: string[]) =>
  isDeno ? run("run", "--allow-all", "--no-check", path, ...args) : run(path, ...args)

interface Notebook {
  readonly cells: readonly { readonly cell_type: string; readonly source: readonly string[] }[]
}

describe("an example", { timeout: 300_000 }, () => {
  it("turns a story while it is written", async () => {
    const { stdout } = await script("examples/01_guided_story.ts")
    assertMatch(stdout, /^One day, a little girl named Lily .+\./)
  })

  it("runs on a folder that is named", async () => {
    const { stdout } = await script("examples/01_guided_story.ts", "tests/fixtures/models/llama3")
    assertMatch(stdout, /^One day, a little girl named Lily./)
  })

  it("says what is wrong with a folder that is not there", async () => {
    const failure = await script("examples/01_guided_story.ts", "./nowhere").then(
      () => undefined,
      (error: { stderr: string; code: number }) => error,
    )
    assertStringIncludes(failure?.stderr ?? "", "there is no folder")
  })

  it("shows base and guided texts, a table and a picture, without colours where there is no terminal", async () => {
    const { stdout } = await script("examples/demo.ts")
    for (const title of ["the base alone", "by cheerful", "by dialogue", "by both", "away from"]) {
      assertStringIncludes(stdout, title)
    }
    assert(!stdout.includes("\x1b"))
    // Each reward is won by its own weight.
    const gains = [...stdout.matchAll(/^ +([\d.]+) +([\d.]+) +(-?[\d.]+) .*?\) +(-?[\d.]+) /gm)]
      .map(([, cheerful, dialogue, ...gains]) => ({ cheerful, dialogue, gains: gains.map(Number) }))
    const of = (cheerful: string, dialogue: string) =>
      gains.find((row) => row.cheerful === cheerful && row.dialogue === dialogue)!.gains
    assertEquals(gains.length, 7)
    assert(of("1", "0")[0] > of("0", "0")[0])
    assert(of("0", "1")[1] > of("0", "0")[1])
    const picture = stdout.match(/picture: (.+\.svg)/)?.[1]
    assertMatch(readFileSync(picture!, "utf8"), /^<svg [^]*<\/svg>\s*$/)
  })

  it("trains a reward from preferences and guides with it", async () => {
    const folder = await mkdtemp(join(tmpdir(), "genarm-example-"))
    const few = join(folder, "few.jsonl")
    const all = readFileSync(join(root, "examples/data/plain.jsonl"), "utf8").split("\n")
    await writeFile(few, all.slice(0, 24).join("\n"))
    const { stdout } = await script("examples/02_train_a_reward.ts", few)
    assertMatch(stdout, /kept \d+ of \d+ pairs/)
    assertMatch(stdout, /ranked rightly: \d+ % by the base, \d+ % by the reward/)
    for (const weight of [0, 1, 3]) {
      assertStringIncludes(stdout, `weight ${weight}: Once upon a time`)
    }
    await rm(folder, { recursive: true })
  })

  it("writes a reward, checks it and guides with it, in 30 lines", async () => {
    const example = readFileSync(join(root, "examples/03_write_a_reward.ts"), "utf8")
    const code = example.slice(example.indexOf("*/\n") + "*/\n".length)
    assert(code.trimEnd().split("\n").length <= 30)
    const { stdout } = await script("examples/03_write_a_reward.ts")
    assertMatch(stdout, /keeps its contract \((1|2)\d checks\)/)
    const [, unguided, guided] = stdout.split(/^weight \d+: One day, a little girl named Lily/m)
    assertMatch(unguided, /e/i)
    assert(guided.length > 100 && !/e/i.test(guided), guided)
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
