import { assertEquals, assertMatch, assertRejects } from "@std/assert"
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { after, before, describe, it } from "node:test"
import { writeRandomModel } from "../../bench/_random_model.ts"
import { writeRandomAdapter } from "../../bench/_random_adapter.ts"
import { openGenarm } from "../../bench/peers/_genarm_decode.ts"
import { writeGguf } from "../../bench/peers/_gguf.ts"
import { writeLlamaGguf } from "../../bench/peers/_llama_gguf.ts"
import { writeOnnxExport } from "../../bench/peers/_onnx_export.ts"
import { writeMergedModel } from "../../bench/peers/_merged_model.ts"
import { openPeer, type PeerCommand } from "../../bench/peers/_open_peer.ts"

const task = { base: "somewhere", precision: "f32", threads: 1, settings: {} } as const
const text = { prompt: [5, 100, 17, 200], tokens: 12 }

/** A peer that runs the code. */
function running(code: string): PeerCommand {
  const args = "Deno" in globalThis ? ["eval", code] : ["-e", code]
  return { command: process.execPath, args }
}

describe("a peer in a process of its own", () => {
  it("is skipped where its command is not there", async () => {
    const peer = await openPeer({ command: "no-such-command", args: [] }, task)
    assertEquals(peer, { skipped: "there is no command no-such-command" })
  })

  it("is skipped with its own reason", async () => {
    const peer = await openPeer(running(`console.log('{"skipped":"no compiler"}')`), task)
    assertEquals(peer, { skipped: "no compiler" })
  })

  it("is skipped with its last words where it fails to start", async () => {
    const code = `console.error("out of luck"); process.exit(3)`
    const peer = await openPeer(running(`import process from "node:process"; ${code}`), task)
    assertEquals(peer, { skipped: "it ended with 3: out of luck" })
  })

  it("answers one text at a time, whatever its libraries print, and tells what goes wrong", async () => {
    const peer = await openPeer(
      running(`
        import { createInterface } from "node:readline"
        import process from "node:process"
        console.log("a library's greeting")
        console.log('{"ready":"echo 1.0"}')
        for await (const line of createInterface({ input: process.stdin })) {
          const { prompt, tokens } = JSON.parse(line)
          if (tokens === 0) console.log('{"error":"no tokens"}')
          else console.log(JSON.stringify({ first: 1, each: tokens, ids: prompt }))
        }
        process.exit(0)`),
      task,
    )
    if ("skipped" in peer) throw new Error(peer.skipped)
    assertEquals(peer.about, "echo 1.0")
    assertEquals(await peer.write(text), { first: 1, each: 12, ids: text.prompt })
    await assertRejects(() => peer.write({ ...text, tokens: 0 }), Error, "no tokens")
    assertEquals((await peer.write({ prompt: [1], tokens: 2 })).ids, [1])
    await peer.close()
    await assertRejects(() => peer.write(text), Error, "it ended with 0")
  })
})

describe("the same weights in the formats of the peers", () => {
  let folder = ""
  let base = ""
  let remove = async () => {}
  before(async () => {
    const model = await writeRandomModel("3M", { context: 64 })
    base = model.folder
    folder = await mkdtemp(join(tmpdir(), "genarm-test-"))
    remove = async () => {
      await model[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    }
  })
  after(() => remove())

  const idsOf = async (models: { base: string; arm?: { adapter: string } | { model: string } }) => {
    const peer = await openGenarm({ ...models, precision: "f32", threads: 1 })
    try {
      return (await peer.write(text)).ids
    } finally {
      await peer.close()
    }
  }

  it("merges the adapter into a model that guides to the same text, and not to the base's", async () => {
    await using written = await writeRandomAdapter(base, 2)
    const adapter = written.folder
    const merged = join(folder, "merged")
    await writeMergedModel(base, adapter, merged)
    const ids = await idsOf({ base, arm: { adapter } })
    assertEquals(await idsOf({ base, arm: { model: merged } }), ids)
    assertEquals(JSON.stringify(await idsOf({ base })) === JSON.stringify(ids), false)
  })

  it("exports to ONNX what writes the same text", async () => {
    const exported = join(folder, "exported")
    await mkdir(exported, { recursive: true })
    await writeOnnxExport(base, "onnx", { bits: 32 })
    for (const name of ["config.json", "tokenizer.json", "tokenizer_config.json"]) {
      await copyFile(join(base, name), join(exported, name))
    }
    await copyFolder(join(base, "onnx"), join(exported, "onnx"))
    assertEquals(await idsOf({ base: exported }), await idsOf({ base }))
  })

  it("lists all tensors in GGUF, at 4 bits too", async () => {
    for (const format of ["F32", "Q4_0"] as const) {
      const file = join(folder, `${format}.gguf`)
      await writeLlamaGguf(base, file, format)
      const bytes = await readFile(file)
      assertEquals(bytes.toString("latin1", 0, 4), "GGUF")
      assertEquals(bytes.readUInt32LE(4), 3)
      assertEquals(Number(bytes.readBigUInt64LE(8)), 5 * 9 + 2) // 9 of each layer, embedding and norm
      assertMatch(bytes.toString("latin1"), /blk\.4\.ffn_down\.weight/)
    }
  })
})

describe("a GGUF file", () => {
  it("aligns data to 32 bytes and halves blocks as the reference quantiser does", async () => {
    const folder = await mkdtemp(join(tmpdir(), "genarm-test-"))
    try {
      const file = join(folder, "x.gguf")
      // The largest magnitude is -8, so the scale is 1 and the codes are the weights plus 8.
      const weights = Float32Array.from({ length: 32 }, (_, i) => i % 16 - 8)
      const read = () => Promise.resolve(weights)
      await writeGguf(file, { "general.architecture": "none" }, [
        { name: "a", shape: [1, 32], type: "Q4_0", read },
        { name: "b", shape: [32], type: "F32", read },
        { name: "c", shape: [32], type: "Q8_0", read },
      ])
      const bytes = await readFile(file)
      assertEquals(bytes.length % 32, 0)
      const data = bytes.subarray(bytes.length - 32 - 128 - 64)
      assertEquals(data.readUInt16LE(0), 0x3c00) // 1 as float16
      const codes = Array.from({ length: 16 }, (_, i) => i | i << 4)
      assertEquals([...data.subarray(2, 18)], codes)
      assertEquals([data.readFloatLE(32), data.readFloatLE(32 + 4 * 15)], [-8, 7])
      const signed = Array.from(weights.subarray(0, 16), (weight) => Math.round(weight * 127 / 8))
      assertEquals(Array.from({ length: 16 }, (_, i) => data.readInt8(160 + 2 + i)), signed)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})

async function copyFolder(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true })
  for (const name of await readdir(from)) await copyFile(join(from, name), join(to, name))
}
