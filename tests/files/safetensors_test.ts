import { assert, assertEquals, assertRejects } from "@std/assert"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, it } from "node:test"
import { randomStream } from "genarm/math"
import { GenArmError } from "../../src/errors.ts"
import { openSafetensors } from "../../src/files/safetensors.ts"
import { encodeSafetensors, float32, safetensorsBytes, temporaryFolder } from "./_altered.ts"

async function withFile<A>(bytes: Uint8Array, body: (path: string) => Promise<A>): Promise<A> {
  using folder = temporaryFolder()
  const path = join(folder.path, "model.safetensors")
  writeFileSync(path, bytes)
  return await body(path)
}

/** Reads one tensor of 16-bit patterns, as float32. */
function readHalves(dtype: string, patterns: ArrayLike<number>): Promise<Float32Array> {
  const data = new Uint8Array(Uint16Array.from(patterns).buffer)
  return withFile(
    encodeSafetensors({ x: { dtype, shape: [patterns.length], data } }),
    async (path) => {
      const store = await openSafetensors(path)
      const values = new Float32Array(patterns.length)
      assertEquals(await store.readInto("x", values, 0), 2 * patterns.length)
      await store.close()
      return values
    },
  )
}

/** The bits of float32 values; every NaN as the same one. */
function bits(values: Float32Array): string[] {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length)
  return Array.from(words, (word, i) => Number.isNaN(values[i]) ? "NaN" : word.toString(16))
}

describe("a safetensors file", () => {
  it("gives its tensors by name, into any place of the target", async () => {
    const bytes = encodeSafetensors({
      "b": float32([2, 3], [1, 2, 3, 4, 5, 6]),
      "a": float32([2], [-1.5, 0.1]),
      "empty": float32([0, 7], []),
      "scalar": float32([], [9]),
    })
    await withFile(bytes, async (path) => {
      const store = await openSafetensors(path)
      assertEquals([store.has("a"), store.has("c"), store.has("__metadata__")], [
        true,
        false,
        false,
      ])
      assertEquals([...store.shape("b")], [2, 3])
      assertEquals([...store.shape("scalar")], [])
      assertEquals(store.bytes, 36)
      const target = new Float32Array(10)
      assertEquals(await store.readInto("a", target, 1), 8)
      await store.readInto("b", target, 4)
      await store.readInto("empty", target, 10)
      await store.readInto("scalar", target, 0)
      assertEquals(target, Float32Array.of(9, -1.5, 0.1, 0, 1, 2, 3, 4, 5, 6))
      await store.close()
    })
  })

  it("may have metadata, and padding after its header", async () => {
    const header = {
      __metadata__: { format: "pt" },
      x: { dtype: "F32", shape: [1], data_offsets: [0, 4] },
    }
    const data = new Uint8Array(Float32Array.of(2.5).buffer)
    await withFile(safetensorsBytes(JSON.stringify(header) + "   ", data), async (path) => {
      const store = await openSafetensors(path)
      const values = new Float32Array(1)
      await store.readInto("x", values, 0)
      assertEquals(values[0], 2.5)
      assertEquals([store.names, store.metadata], [["x"], { format: "pt" }])
      await store.close()
    })
  })

  it("gives float16 exactly, subnormal numbers, infinities and -0 too", async () => {
    const golden: readonly (readonly [pattern: number, float32: string])[] = [
      [0x0000, "0"],
      [0x8000, "80000000"],
      [0x0001, "33800000"], // 2^-24, the smallest subnormal
      [0x8001, "b3800000"],
      [0x0002, "34000000"],
      [0x03ff, "387fc000"], // the largest subnormal
      [0x0400, "38800000"], // 2^-14, the smallest normal
      [0x3555, "3eaaa000"],
      [0x3c00, "3f800000"],
      [0x3c01, "3f802000"],
      [0xc000, "c0000000"],
      [0x7bff, "477fe000"], // 65504
      [0xfbff, "c77fe000"],
      [0x7c00, "7f800000"],
      [0xfc00, "ff800000"],
      [0x7c01, "NaN"],
      [0x7e00, "NaN"],
      [0xffff, "NaN"],
    ]
    assertEquals(bits(await readHalves("F16", golden.map(([x]) => x))), golden.map(([, y]) => y))
  })

  it("gives every one of the float16 numbers as the arithmetic of the format defines it", async () => {
    const values = await readHalves("F16", Array.from({ length: 1 << 16 }, (_, i) => i))
    for (const [pattern, value] of values.entries()) {
      const sign = pattern >> 15 ? -1 : 1
      const exponent = (pattern & 0x7c00) >> 10
      const fraction = (pattern & 0x3ff) / 1024
      const expected = exponent === 31
        ? (fraction === 0 ? sign / 0 : NaN)
        : sign * (exponent === 0 ? fraction * 2 ** -14 : (1 + fraction) * 2 ** (exponent - 15))
      assert(Object.is(value, expected), `${pattern.toString(16)}: ${value}, expected ${expected}`)
    }
  })

  it("gives bfloat16 exactly, subnormal numbers, infinities and -0 too", async () => {
    const golden: readonly (readonly [pattern: number, float32: string])[] = [
      [0x0000, "0"],
      [0x8000, "80000000"],
      [0x0001, "10000"], // a subnormal of float32 too
      [0x807f, "807f0000"],
      [0x0080, "800000"], // 2^-126, the smallest normal
      [0x3f80, "3f800000"],
      [0xbf81, "bf810000"],
      [0x7f7f, "7f7f0000"],
      [0x7f80, "7f800000"],
      [0xff80, "ff800000"],
      [0x7fc0, "NaN"],
      [0xff81, "NaN"],
    ]
    assertEquals(bits(await readHalves("BF16", golden.map(([x]) => x))), golden.map(([, y]) => y))
  })

  it("gives tensors of 16 bits that are longer than a reading piece", async () => {
    const count = (1 << 21) + 12_345 // a piece is 2^21 numbers
    const random = randomStream(5)
    const patterns = Uint16Array.from({ length: count }, () => random.nextUint32() & 0x7bff)
    const values = await readHalves("BF16", patterns)
    const expected = new Float32Array(Uint32Array.from(patterns, (x) => x << 16).buffer)
    assertEquals(values.findIndex((x, i) => !Object.is(x, expected[i])), -1)
  })
})

/** A header of one tensor, over eight bytes of data. */
const one = (changes: object) =>
  safetensorsBytes(
    { x: { dtype: "F32", shape: [2], data_offsets: [0, 8], ...changes } },
    new Uint8Array(8),
  )

function declaring(length: bigint, rest: number): Uint8Array {
  const bytes = new Uint8Array(8 + rest)
  new DataView(bytes.buffer).setBigUint64(0, length, true)
  return bytes
}

const faults: readonly (readonly [what: string, bytes: Uint8Array, part: string])[] = [
  ["is empty", new Uint8Array(0), "0 bytes long, too short for a header"],
  ["ends in the length of its header", new Uint8Array(7), "7 bytes long"],
  ["declares a header beyond its end", declaring(100n, 99), "at most 99 can follow"],
  ["declares a header of 2^63 bytes", declaring(1n << 63n, 10), "9223372036854775808 bytes"],
  ["declares a header of all its bits", declaring((1n << 64n) - 1n, 10), "at most 10 can follow"],
  ["has an empty header", safetensorsBytes("", new Uint8Array(8)), "not JSON"],
  ["has a header that is not JSON", safetensorsBytes("{x", new Uint8Array(8)), "not JSON"],
  ["has a header that is not UTF-8", declaring(2n, 4).fill(0xff, 8), "not JSON"],
  ["has a list as its header", safetensorsBytes([], new Uint8Array(8)), "not a JSON object"],
  ["has null as its header", safetensorsBytes("null", new Uint8Array(8)), "not a JSON object"],
  [
    "has a list as metadata",
    safetensorsBytes({ __metadata__: ["pt"] }, new Uint8Array(0)),
    "a __metadata__ that is not texts by name",
  ],
  [
    "has a number in its metadata",
    safetensorsBytes({ __metadata__: { step: 3 } }, new Uint8Array(0)),
    "a __metadata__ that is not texts by name",
  ],
  ["has null as a tensor", safetensorsBytes({ x: null }, new Uint8Array(8)), "no valid shape"],
  ["has a number as a tensor", safetensorsBytes({ x: 3 }, new Uint8Array(8)), "no valid shape"],
  ["is truncated in its data", one({}).subarray(0, -1), "7 bytes of data are there"],
  ["has offsets the wrong way round", one({ data_offsets: [8, 0] }), "at bytes 8 to 0"],
  ["has offsets beyond its end", one({ data_offsets: [4, 12] }), "8 bytes of data are there"],
  ["has negative offsets", one({ data_offsets: [-8, 0] }), "no valid data_offsets: [-8,0]"],
  ["has fractional offsets", one({ data_offsets: [0.5, 8.5] }), "no valid data_offsets"],
  ["has huge offsets", one({ data_offsets: [0, 1e300] }), "no valid data_offsets"],
  [
    "has offsets at 2^53 - 1",
    one({ data_offsets: [0, 2 ** 53 - 1] }),
    "at bytes 0 to 9007199254740991",
  ],
  ["has one offset", one({ data_offsets: [8] }), "no valid data_offsets: [8]"],
  ["has text for offsets", one({ data_offsets: ["0", "8"] }), "no valid data_offsets"],
  ["has no offsets", one({ data_offsets: undefined }), "no valid data_offsets: undefined"],
  ["has fewer bytes than its shape", one({ shape: [3] }), "12 bytes, but gives it 8 bytes"],
  ["has more bytes than its shape", one({ shape: [1] }), "4 bytes, but gives it 8 bytes"],
  ["has a shape of 10^15 numbers", one({ shape: [1e15] }), "but gives it 8 bytes"],
  [
    "has a shape that overflows",
    one({ shape: [2 ** 52, 2 ** 52, 2 ** 52] }),
    "but gives it 8 bytes",
  ],
  ["has a negative shape", one({ shape: [-2, -1] }), "no valid shape: [-2,-1]"],
  ["has a fractional shape", one({ shape: [1.5] }), "no valid shape"],
  ["has a number as a shape", one({ shape: 2 }), "no valid shape: 2"],
]

/** Types no model here is made of; the file may hold such tensors as long as none is asked for. */
const foreignTypes: [string, Uint8Array, string][] = [
  [
    "stores I64",
    one({ dtype: "I64", shape: [1] }),
    'stores "x" as "I64": expected F32, F16 or BF16',
  ],
  ["stores F8_E4M3", one({ dtype: "F8_E4M3", shape: [8] }), '"F8_E4M3": expected F32, F16 or BF16'],
  ["stores what is no type", one({ dtype: "constructor" }), "expected F32, F16 or BF16"],
  ["names no type", one({ dtype: undefined }), "expected F32, F16 or BF16"],
]

describe("a tensor of a foreign type", () => {
  for (const [what, bytes, part] of foreignTypes) {
    it(`is refused when it is asked for, where the file ${what}`, () =>
      withFile(bytes, async (path) => {
        const store = await openSafetensors(path)
        try {
          for (
            const ask of [
              () => Promise.resolve().then(() => store.shape("x")),
              () => store.readInto("x", new Float32Array(8), 0),
            ]
          ) {
            const error = await assertRejects(ask, GenArmError, part)
            assertEquals(error.reason, { _tag: "InvalidModelFile", file: path })
          }
        } finally {
          await store.close()
        }
      }))
  }

  it("does not stand in the way of the others", () =>
    withFile(
      safetensorsBytes({
        ids: { dtype: "I64", shape: [1], data_offsets: [0, 8] },
        x: { dtype: "F32", shape: [1], data_offsets: [8, 12] },
      }, new Uint8Array(12)),
      async (path) => {
        const store = await openSafetensors(path)
        try {
          const value = Float32Array.of(7)
          await store.readInto("x", value, 0)
          assertEquals(value, Float32Array.of(0))
        } finally {
          await store.close()
        }
      },
    ))
})

describe("a safetensors file is refused that", () => {
  for (const [what, bytes, part] of faults) {
    it(what, () =>
      withFile(bytes, async (path) => {
        const error = await assertRejects(() => openSafetensors(path), GenArmError, part)
        assertEquals(error.reason, { _tag: "InvalidModelFile", file: path })
      }))
  }

  it("is missing", async () => {
    using folder = temporaryFolder()
    const path = join(folder.path, "model.safetensors")
    const error = await assertRejects(() => openSafetensors(path), GenArmError, "cannot be opened")
    assertEquals(error.reason, { _tag: "InvalidModelFile", file: path })
  })

  it("is a folder", async () => {
    using folder = temporaryFolder()
    const path = join(folder.path, "model.safetensors")
    mkdirSync(path)
    const error = await assertRejects(() => openSafetensors(path), GenArmError)
    assertEquals(error.reason, { _tag: "InvalidModelFile", file: path })
  })

  it("has no tensor of the name, or has shrunk since it was opened", () =>
    withFile(one({}), async (path) => {
      const store = await openSafetensors(path)
      try {
        const read = (name: string) => store.readInto(name, new Float32Array(2), 0)
        await assertRejects(() => read("y"), GenArmError, 'has no tensor "y"')
        writeFileSync(path, one({}).subarray(0, -4))
        const error = await assertRejects(() => read("x"), GenArmError, "changed meanwhile")
        assertEquals(error.reason._tag, "InvalidModelFile")
      } finally {
        await store.close()
      }
    }))
})
