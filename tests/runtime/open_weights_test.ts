import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert"
import { Buffer } from "node:buffer"
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import process from "node:process"
import { describe, it } from "node:test"
import { crc32 } from "node:zlib"
import { GenArmError } from "../../src/errors.ts"
import { openModelFolder, openTensors } from "../../src/files/model_folder.ts"
import { readLlamaConfig } from "../../src/llama/config.ts"
import { llamaTensorShapes } from "../../src/llama/tensor_shapes.ts"
import { quantizedMatrices, recipeOf } from "../../src/llama/prepared_weights.ts"
import { type Precision, readLlamaWeights } from "../../src/llama/weights.ts"
import { openEngine } from "../../src/runtime/open_engine.ts"
import { openWeights } from "../../src/runtime/open_weights.ts"
import { fixture } from "../_fixtures.ts"
import { altered, temporaryFolder } from "../files/_altered.ts"
import { mediumModel } from "./_medium_model.ts"

const config = readLlamaConfig((await openModelFolder(fixture("llama"))).config, "tiny")

/** A number that differs for different weights. */
function sumOf(weights: object): number {
  let sum = 0
  const visit = (value: unknown): void => {
    if (ArrayBuffer.isView(value)) {
      sum = crc32(new Uint8Array(value.buffer, value.byteOffset, value.byteLength), sum)
    } else if (typeof value === "object" && value !== null) Object.values(value).forEach(visit)
  }
  visit(weights)
  return sum
}

/** Opens the weights of a folder; tells them by a number, and how many tensors the model's files gave. */
async function opened(
  folder: string,
  precision: Precision = "q4",
  signal?: AbortSignal,
): Promise<{ sum: number; read: number }> {
  const store = await openTensors(folder)
  let read = 0
  const counted: typeof store = {
    bytes: store.bytes,
    names: store.names,
    metadata: store.metadata,
    has: (name) => store.has(name),
    shape: (name) => store.shape(name),
    readInto(name, target, offset) {
      read++
      return store.readInto(name, target, offset)
    },
    readBytes: (name, target) => store.readBytes(name, target),
    close: () => store.close(),
  }
  const options = { model: "tiny", precision, leastWeights: 1, ...signal && { signal } }
  try {
    return { sum: sumOf(await openWeights(config, folder, counted, options)), read }
  } finally {
    await store.close()
  }
}

/** The weights quantised without any file. */
async function fresh(folder: string, precision: Precision = "q4"): Promise<number> {
  const store = await openTensors(folder)
  try {
    return sumOf(await readLlamaWeights(config, store, { model: "tiny", precision }))
  } finally {
    await store.close()
  }
}

const shapes = llamaTensorShapes(config)
const tensors = shapes.size
/** Those that a prepared file leaves to the model's own: vectors and the embedding. */
const unquantized = [...shapes.values()].filter((shape) => shape.length === 1).length + 1

const preparedIn = (folder: string, precision: Precision = "q4") =>
  join(folder, ".genarm", `weights-${precision}.safetensors`)

/** Runs with variables of the environment set. */
async function withVariables<A>(
  variables: Readonly<Record<string, string>>,
  run: () => Promise<A>,
): Promise<A> {
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const)
  Object.assign(process.env, variables)
  try {
    return await run()
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  }
}

describe("quantised weights", () => {
  it("are made at the first opening, and read as they were made at later ones", async () => {
    using folder = altered("llama", {})
    for (const precision of ["q4", "q8"] as const) {
      const sum = await fresh(folder.path, precision)
      assertEquals(await opened(folder.path, precision), { sum, read: tensors })
      assertEquals(await opened(folder.path, precision), { sum, read: unquantized })
    }
    const names = ["weights-q4.safetensors", "weights-q8.safetensors"]
    assertEquals(readdirSync(join(folder.path, ".genarm")).sort(), names)
  })

  it("give the same distributions from the file as when they were made", async () => {
    using folder = mediumModel()
    const spec = { name: "medium", folder: folder.path, precision: "q4", device: "cpu" } as const
    const rows: Float32Array[] = []
    for (let time = 0; time < 2; time++) {
      const loads: number[] = []
      const engine = await openEngine({ ...spec, threads: 1 }, {
        onRead: (loaded, total) => loads.push(loaded / total),
      })
      const cache = engine.openCache()
      rows.push(...await engine.forward([{ cache, tokens: [1, 5, 2000, 77], want: "all" }]))
      await engine.close()
      assertEquals(loads.at(-1), 1)
      assert(loads.every((share, i) => i === 0 || share >= loads[i - 1]))
      assert(existsSync(preparedIn(folder.path)))
    }
    assertEquals(rows[1], rows[0])
  })

  it("leave no trace of float32, nor of a model that is quantised in no time", async () => {
    using folder = altered("llama", {})
    await opened(folder.path, "f32")
    const spec = { name: "tiny", folder: folder.path, device: "cpu", threads: 1 } as const
    await (await openEngine({ ...spec, precision: "q4" })).close()
    assert(!existsSync(join(folder.path, ".genarm")))
  })

  it("are made anew when the model's weights have changed", async () => {
    using folder = altered("llama", {})
    const first = await opened(folder.path)
    const path = join(folder.path, "model.safetensors")
    const bytes = readFileSync(path)
    bytes[bytes.length - 1] ^= 0x80 // the sign of the last number
    writeFileSync(path, bytes)
    const second = await opened(folder.path)
    assertNotEquals(second.sum, first.sum)
    assertEquals(second, { sum: await fresh(folder.path), read: tensors })
    assertEquals((await opened(folder.path)).read, unquantized)
  })

  it("stay in use when only the times of the model's files have changed, as in a copy", async () => {
    using folder = altered("llama", {})
    const { sum } = await opened(folder.path)
    const path = join(folder.path, "model.safetensors")
    utimesSync(path, new Date(0), new Date(0))
    assertEquals(await opened(folder.path), { sum, read: unquantized })
  })

  it("are known by their bits and by the tensors that they are made of", () => {
    const recipes = [config, { ...config, tiedHead: !config.tiedHead }].flatMap((config) =>
      (["q4", "q8"] as const).map((precision) => recipeOf(quantizedMatrices(config, precision)))
    )
    assertEquals(new Set(recipes).size, recipes.length)
  })

  const damages: Readonly<Record<string, (path: string) => void>> = {
    "cut short": (path) => truncateSync(path, statSync(path).size - 1),
    "cut in the header": (path) => truncateSync(path, 100),
    "empty": (path) => truncateSync(path, 0),
    "overwritten": (path) => writeFileSync(path, "no tensors"),
    "changed in a code": (path) => {
      const bytes = readFileSync(path)
      bytes[bytes.length - 5] ^= 1
      writeFileSync(path, bytes)
    },
    "changed in a scale": (path) => {
      const bytes = readFileSync(path)
      bytes[8 + Number(bytes.readBigUInt64LE(0)) + 2] ^= 1
      writeFileSync(path, bytes)
    },
    "of another quantiser": (path) =>
      replaceOrigin(path, (o) => ({ ...o, recipe: "[1" + o.recipe.slice(2) })),
    "of an unknown origin": (path) => replaceOrigin(path, () => ({})),
    "without an origin": (path) => replaceOrigin(path, () => null),
  }
  for (const [damage, apply] of Object.entries(damages)) {
    it(`are made anew where the file is ${damage}`, async () => {
      using folder = altered("llama", {})
      const { sum } = await opened(folder.path)
      const path = preparedIn(folder.path)
      const sound = readFileSync(path)
      apply(path)
      assertNotEquals(Buffer.compare(readFileSync(path), sound), 0)
      const again = await opened(folder.path)
      assertEquals(again.sum, sum)
      assert(again.read >= tensors, "the model's own files were read")
      assertEquals(Buffer.compare(readFileSync(path), sound), 0)
    })
  }

  it("are sound when several openings make them at the same time", async () => {
    using folder = altered("llama", {})
    const sum = await fresh(folder.path)
    const all = await Promise.all([1, 2, 3].map(() => opened(folder.path)))
    for (const one of all) assertEquals(one.sum, sum)
    assertEquals(readdirSync(join(folder.path, ".genarm")), ["weights-q4.safetensors"])
    assertEquals(await opened(folder.path), { sum, read: unquantized })
  })

  it(
    "are kept in the user's cache where the model's folder takes none",
    { skip: process.platform !== "linux" && "the test names the cache as Linux does" },
    async () => {
      using folder = altered("llama", {})
      using cache = temporaryFolder()
      // Permissions would not stop a privileged user; a file in the way stops everybody.
      writeFileSync(join(folder.path, ".genarm"), "")
      await withVariables({ XDG_CACHE_HOME: cache.path }, async () => {
        const first = await opened(folder.path)
        assertEquals(await opened(folder.path), { sum: first.sum, read: unquantized })
      })
      const [own] = readdirSync(join(cache.path, "genarm"))
      const names = readdirSync(join(cache.path, "genarm", own))
      assertEquals(names, ["weights-q4.safetensors"])
    },
  )

  it("are made in memory, without an error, where no place takes them or none is wanted", async () => {
    using folder = altered("llama", {})
    const blocked = join(folder.path, "blocked")
    writeFileSync(blocked, "")
    const sum = await fresh(folder.path)
    for (const GENARM_CACHE of [blocked, "off"]) {
      await withVariables({ GENARM_CACHE }, async () => {
        for (let time = 0; time < 2; time++) {
          assertEquals(await opened(folder.path), { sum, read: tensors })
        }
      })
    }
    assert(!existsSync(join(folder.path, ".genarm")))
  })

  it("are not kept when the opening is aborted", async () => {
    using folder = altered("llama", {})
    const controller = new AbortController()
    const opening = opened(folder.path, "q4", controller.signal)
    controller.abort("enough")
    const error = await assertRejects(() => opening, GenArmError)
    assertEquals(error.reason._tag, "Aborted")
    assert(!existsSync(join(folder.path, ".genarm")))
  })

  it("are no model's weights by themselves", async () => {
    using folder = altered("llama", {})
    await opened(folder.path)
    rmSync(join(folder.path, "model.safetensors"))
    assertEquals((await openModelFolder(folder.path)).hasTensors, false)
    await assertRejects(() => openTensors(folder.path), GenArmError, "is missing")
  })

  it("of a moved folder move with it", async () => {
    using folder = altered("llama", {})
    const { sum } = await opened(folder.path)
    using other = temporaryFolder()
    const moved = join(other.path, "moved")
    mkdirSync(moved)
    for (const name of readdirSync(folder.path)) {
      renameSync(join(folder.path, name), join(moved, name))
    }
    assertEquals(await opened(moved), { sum, read: unquantized })
  })
})

interface Origin {
  readonly recipe: string
}

function headerOf(bytes: Buffer): { size: number; header: { __metadata__: { genarm?: string } } } {
  const size = Number(bytes.readBigUInt64LE(0))
  return { size, header: JSON.parse(bytes.toString("utf8", 8, 8 + size)) }
}

/** What a prepared file says of itself. */
function originOf(path: string): Origin {
  return JSON.parse(headerOf(readFileSync(path)).header.__metadata__.genarm!)
}

/** Changes that; the tensors stay. */
function replaceOrigin(path: string, change: (origin: Origin) => object | null): void {
  const bytes = readFileSync(path)
  const { size, header } = headerOf(bytes)
  const changed = change(originOf(path))
  const metadata = changed === null ? {} : { genarm: JSON.stringify(changed) }
  const text = JSON.stringify({ ...header, __metadata__: metadata }).padEnd(size)
  assert(text.length >= size && Buffer.byteLength(text) === text.length)
  const prefix = Buffer.alloc(8)
  prefix.writeBigUInt64LE(BigInt(text.length))
  writeFileSync(path, Buffer.concat([prefix, Buffer.from(text), bytes.subarray(8 + size)]))
}
