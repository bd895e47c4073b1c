import { assert, assertEquals, assertRejects } from "@std/assert"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, it } from "node:test"
import { gzipSync } from "node:zlib"
import { randomStream } from "genarm/math"
import { GenArmError } from "../../../src/errors.ts"
import { type Line, readLines } from "../../../src/train/data/_lines.ts"
import { temporaryFolder } from "../../files/_altered.ts"

async function linesOf(bytes: string | Uint8Array, name = "text.txt"): Promise<Line[]> {
  using folder = temporaryFolder()
  const path = join(folder.path, name)
  writeFileSync(path, bytes)
  return await Array.fromAsync(readLines(path))
}

/** Text that gzip cannot make much smaller, in lines of every length. */
const long = (() => {
  const random = randomStream(1)
  const words = Array.from({ length: 300_000 }, () => random.nextUint32().toString(36))
  return words.map((word, i) => `${word}é😀${i % 97 === 0 ? "\n" : " "}`).join("")
})()

const utf8 = (text: string) => new TextEncoder().encode(text)

describe("the lines of a file", () => {
  const cases: readonly (readonly [what: string, text: string, lines: readonly string[]])[] = [
    ["end in line feeds", "a\nb\n", ["a", "b"]],
    ["need no line feed at the end", "a\nb", ["a", "b"]],
    ["may end as on Windows", "a\r\nb\r\n", ["a", "b"]],
    ["may be empty", "\n\na\n", ["", "", "a"]],
    ["are none in an empty file", "", []],
    ["do not end at other separators", "a\u2028b\u0085c\rd\n", ["a\u2028b\u0085c\rd"]],
    ["lose a byte order mark at the start only", "\ufeffa\n\ufeffb\n", ["a", "\ufeffb"]],
  ]
  for (const [what, text, lines] of cases) {
    it(what, async () => {
      const expected = lines.map((line, i) => ({ line, number: i + 1 }))
      assertEquals(await linesOf(text), expected)
      assertEquals(await linesOf(gzipSync(text)), expected)
    })
  }

  it("are whole where the file is read in pieces, packed or not", async () => {
    assert(utf8(long).length > 1 << 21)
    const expected = long.split("\n").filter((line, i, all) => i < all.length - 1 || line !== "")
    for (const bytes of [utf8(long), gzipSync(long)]) {
      const lines = await linesOf(bytes)
      assertEquals(lines.length, expected.length)
      assert(lines.every(({ line, number }, i) => line === expected[i] && number === i + 1))
    }
  })

  it("go on through gzip files that were joined", async () => {
    const joined = new Uint8Array([...gzipSync("a\nb"), ...gzipSync("c\n")])
    assertEquals((await linesOf(joined)).map(({ line }) => line), ["a", "bc"])
  })

  it("can be left early and read again", async () => {
    using folder = temporaryFolder()
    for (const bytes of [utf8(long), gzipSync(long)]) {
      const path = join(folder.path, "text")
      writeFileSync(path, bytes)
      for (let times = 0; times < 20; times++) {
        for await (const { number } of readLines(path)) {
          assertEquals(number, 1)
          break
        }
      }
    }
  })

  const faults: readonly (readonly [what: string, bytes: Uint8Array, part: string])[] = [
    ["is gzip cut off", gzipSync(long).subarray(0, 1 << 20), "it is cut off or damaged"],
    ["is gzip cut off by a byte", gzipSync("a\nb\n").subarray(0, -1), "it is cut off or damaged"],
    ["only begins as gzip", Uint8Array.of(0x1f, 0x8b, 7, 7), "cut"],
  ]
  for (const [what, bytes, part] of faults) {
    it(`are refused of a file that ${what}`, async () => {
      const error = await assertRejects(() => linesOf(bytes, "x.gz"), GenArmError, part)
      assert(error.reason._tag === "InvalidDataFile" && error.reason.file.endsWith("x.gz"))
    })
  }

  it("are refused of a damaged gzip file", async () => {
    const bytes = new Uint8Array(gzipSync(long))
    bytes[bytes.length - 6] ^= 1 // of the checksum
    await assertRejects(() => linesOf(bytes), GenArmError, "it is cut off or damaged")
  })

  it("are refused where they are not UTF-8, by number", async () => {
    const bytes = new Uint8Array([...utf8("a\nb\n"), 0xe9, 10])
    const error = await assertRejects(() => linesOf(bytes), GenArmError, "text.txt:3 is not UTF-8")
    assert(error.reason._tag === "InvalidDataFile")
    assertEquals(error.reason.line, 3)
  })

  it("are refused of what is no file", async () => {
    using folder = temporaryFolder()
    for (const path of [folder.path, join(folder.path, "none.jsonl")]) {
      const read = () => Array.fromAsync(readLines(path))
      const error = await assertRejects(read, GenArmError, "cannot be read")
      assertEquals(error.reason, { _tag: "InvalidDataFile", file: path })
    }
  })
})
