import { assert, assertEquals, assertRejects } from "@std/assert"
import { spawn } from "node:child_process"
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  utimesSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import process from "node:process"
import { describe, it } from "node:test"
import { fileURLToPath } from "node:url"
import { GenArmError } from "../../src/errors.ts"
import { replaceFile, writeAll, writeFileAtomic } from "../../src/files/write_file.ts"
import { temporaryFolder } from "./_altered.ts"

describe("a file written whole or not at all", () => {
  it("holds bytes or text, and its folders are made", async () => {
    using folder = temporaryFolder()
    const path = join(folder.path, "new", "folder", "a.json")
    await writeFileAtomic(path, "grün\n")
    assertEquals(readFileSync(path, "utf8"), "grün\n")
    await writeFileAtomic(path, Uint8Array.of(1, 2, 3))
    assertEquals([...readFileSync(path)], [1, 2, 3])
    await writeFileAtomic(path, "")
    assertEquals(readFileSync(path).length, 0)
    assertEquals(readdirSync(join(path, "..")), ["a.json"])
  })

  it("stays as it was when writing fails, and the temporary file goes", async () => {
    using folder = temporaryFolder()
    const path = join(folder.path, "a")
    writeFileSync(path, "old")
    const full = Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" })
    const error = await assertRejects(
      () =>
        replaceFile(path, async (file) => {
          await writeAll(file, new Uint8Array(1000))
          throw full
        }),
      GenArmError,
      "no space left on device; the file that was there is untouched",
    )
    assertEquals(error.reason, { _tag: "WriteFailed", file: path })
    assertEquals(error.cause, full)
    assertEquals(readFileSync(path, "utf8"), "old")
    assertEquals(readdirSync(folder.path), ["a"])
  })

  it("does not appear when writing fails the first time", async () => {
    using folder = temporaryFolder()
    const fail = () => Promise.reject(new Error("broken"))
    const error = await assertRejects(
      () => replaceFile(join(folder.path, "a"), fail),
      GenArmError,
      "a could not be written: broken; check",
    )
    assertEquals(error.reason._tag, "WriteFailed")
    assertEquals(readdirSync(folder.path), [])
  })

  it("is a typed error where a folder stands in its way, or a file in its folder's", async () => {
    using folder = temporaryFolder()
    mkdirSync(join(folder.path, "a"))
    writeFileSync(join(folder.path, "b"), "")
    for (const path of [join(folder.path, "a"), join(folder.path, "b", "c")]) {
      const error = await assertRejects(() => writeFileAtomic(path, "x"), GenArmError)
      assertEquals(error.reason, { _tag: "WriteFailed", file: path })
    }
    assertEquals(readdirSync(folder.path).sort(), ["a", "b"])
  })

  it("can be written by several at once: one of them wins, whole", async () => {
    using folder = temporaryFolder()
    const path = join(folder.path, "a")
    const texts = ["a", "b", "c", "d"].map((letter) => letter.repeat(100_000))
    await Promise.all(texts.map((text) => writeFileAtomic(path, text)))
    assert(texts.includes(readFileSync(path, "utf8")))
    assertEquals(readdirSync(folder.path), ["a"])
  })

  it("clears what a killed program has left an hour ago, and nothing else", async () => {
    using folder = temporaryFolder()
    const names = ["a.0123abcd.writing", "a.4567abcd.writing", "b.0123abcd.writing", "a.txt"]
    for (const name of names) writeFileSync(join(folder.path, name), "")
    const old = new Date(Date.now() - 2 * 60 * 60 * 1000)
    for (const name of [names[0], names[2], names[3]]) utimesSync(join(folder.path, name), old, old)
    await writeFileAtomic(join(folder.path, "a"), "x")
    assertEquals(readdirSync(folder.path).sort(), ["a", ...names.slice(1)].sort())
  })

  it("is the old or the new one after a kill in the middle of writing", async () => {
    using folder = temporaryFolder()
    const path = join(folder.path, "a")
    writeFileSync(path, "old")
    await killWhileWriting(path)
    assertEquals(readFileSync(path, "utf8"), "old")
    const left = readdirSync(folder.path).filter((name) => name !== "a")
    assert(left.length === 1 && left[0].endsWith(".writing"), `it was writing: ${left}`)
  })
})

/** Kills a process that is replacing the file and has written a part. */
async function killWhileWriting(path: string): Promise<void> {
  const flags = "Deno" in globalThis ? ["run", "--allow-all", "--no-check"] : []
  const script = fileURLToPath(new URL("./_write_forever.ts", import.meta.url))
  const child = spawn(process.execPath, [...flags, script, path], {
    stdio: ["ignore", "pipe", "inherit"],
  })
  const ended = new Promise((done) => child.on("exit", done))
  await new Promise<void>((written, fail) => {
    child.stdout.once("data", () => written())
    child.once("exit", () => fail(new Error("the writer ended by itself")))
  })
  child.kill("SIGKILL")
  await ended
  assert(existsSync(path))
}
