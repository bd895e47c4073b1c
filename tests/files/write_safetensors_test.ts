import { assert, assertEquals, assertRejects } from "@std/assert"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, it } from "node:test"
import { randomStream } from "genarm/math"
import { GenArmError } from "../../src/errors.ts"
import { openSafetensors } from "../../src/files/safetensors.ts"
import { type FloatType, writeSafetensors } from "../../src/files/write_safetensors.ts"
import { temporaryFolder } from "./_altered.ts"

async function withPath<A>(body: (path: string) => Promise<A>): Promise<A> {
  using folder = temporaryFolder()
  return await body(join(folder.path, "model.safetensors"))
}

/** What comes back of values written as a type. */
function through(type: FloatType, values: ArrayLike<number>): Promise<Float32Array> {
  return withPath(async (path) => {
    const data = Float32Array.from(values)
    await writeSafetensors(path, [{ name: "x", shape: [data.length], data, type }])
    const store = await openSafetensors(path)
    try {
      const back = new Float32Array(data.length)
      const bytes = await store.readInto("x", back, 0)
      assertEquals(bytes, data.length * (type === "F32" ? 4 : 2))
      return back
    } finally {
      await store.close()
    }
  })
}

/** Values by their bits; every NaN as the same one. */
function bits(values: Float32Array): string[] {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length)
  return Array.from(words, (word, i) => Number.isNaN(values[i]) ? "NaN" : word.toString(16))
}

/**
 * The nearest of a type's numbers, the even one of two, from the definition: `digits` bits of
 * fraction, no step finer than `2 ** finest`. Exact in float64.
 */
function nearest(value: number, digits: number, finest: number): number {
  if (!Number.isFinite(value) || value === 0) return value
  let exponent = Math.floor(Math.log2(Math.abs(value)))
  if (2 ** exponent > Math.abs(value)) exponent--
  if (2 ** (exponent + 1) <= Math.abs(value)) exponent++
  const step = 2 ** Math.max(exponent - digits, finest)
  const steps = Math.abs(value) / step
  const below = Math.floor(steps)
  const rest = steps - below
  const count = rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below
  return Math.sign(value) * count * step
}

const float16 = (value: number) => nearest(value, 10, -24)
const bfloat16 = (value: number) => nearest(value, 7, -133)

describe("a written safetensors file", () => {
  it("has, byte for byte, what the Python library writes", () =>
    withPath(async (path) => {
      // safetensors.torch.save of the same tensors, version 0.8.0
      const golden = [
        "08010000000000007b225f5f6d657461646174615f5f223a7b22666f726d6174223a227074227d2c",
        "2261223a7b226474797065223a22463332222c227368617065223a5b302c375d2c22646174615f6f",
        "666673657473223a5b302c305d7d2c2262223a7b226474797065223a22463332222c227368617065",
        "223a5b322c315d2c22646174615f6f666673657473223a5b302c385d7d2c22627261696e223a7b22",
        "6474797065223a2242463136222c227368617065223a5b5d2c22646174615f6f666673657473223a",
        "5b382c31305d7d2c2268616c66223a7b226474797065223a22463136222c227368617065223a5b33",
        "5d2c22646174615f6f666673657473223a5b31302c31365d7d7d2020202020200000803f00000040",
        "4040003c00c00038",
      ].join("")
      await writeSafetensors(path, [
        { name: "half", shape: [3], data: Float32Array.of(1, -2, 0.5), type: "F16" },
        { name: "b", shape: [2, 1], data: Float32Array.of(1, 2) },
        { name: "brain", shape: [], data: Float32Array.of(3), type: "BF16" },
        { name: "a", shape: [0, 7], data: new Float32Array() },
      ], { format: "pt" })
      assertEquals(readFileSync(path).toString("hex"), golden)
    }))

  it("gives back float32 bit for bit, and metadata, whatever the names", () =>
    withPath(async (path) => {
      const values = Float32Array.of(1.5, -0, 1e-45, 3.4028234e38, Infinity, -Infinity, NaN, 0.1)
      const metadata = { format: "pt", "step": "12", 'ü "quoted"': "line\nbreak" }
      // Parts of a longer array: data must be written from where the view begins.
      const long = Float32Array.from({ length: 100 }, (_, i) => i)
      await writeSafetensors(path, [
        { name: "10", shape: [2, 4], data: values },
        { name: "9", shape: [3], data: long.subarray(50, 53) },
        { name: 'ü "x"', shape: [1], data: long.subarray(99), type: "F16" },
      ], metadata)
      const store = await openSafetensors(path)
      try {
        assertEquals(store.metadata, metadata)
        assertEquals([...store.names].sort(), ["10", "9", 'ü "x"'])
        const back = new Float32Array(12)
        await store.readInto("10", back, 0)
        await store.readInto("9", back, 8)
        await store.readInto('ü "x"', back, 11)
        assertEquals(bits(back), bits(Float32Array.of(...values, 50, 51, 52, 99)))
      } finally {
        await store.close()
      }
    }))

  it("begins its data at a multiple of 8 bytes, and is the same whatever the order given", () =>
    withPath(async (path) => {
      const tensors = ["b", "a", "c"].map((name, i) => ({
        name,
        shape: [1],
        data: Float32Array.of(i),
      }))
      const bytes: string[] = []
      for (const order of [tensors, [...tensors].reverse()]) {
        await writeSafetensors(path, order, { z: "1", y: "2" })
        bytes.push(readFileSync(path).toString("hex"))
      }
      assertEquals(bytes[0], bytes[1])
      for (let length = 1; length < 9; length++) {
        await writeSafetensors(path, [{ ...tensors[0], name: "x".repeat(length) }])
        assertEquals(Number(readFileSync(path).readBigUInt64LE(0)) % 8, 0)
      }
    }))

  it("may be longer than a piece, whatever its type", async () => {
    const random = randomStream(3)
    const values = Float32Array.from({ length: (1 << 20) + 77 }, () => random.nextUniform() - 0.5)
    for (
      const [type, round] of [["F32", Math.fround], ["F16", float16], ["BF16", bfloat16]] as const
    ) {
      const back = await through(type, values)
      assertEquals(back.findIndex((x, i) => !Object.is(x, round(values[i]))), -1, type)
    }
  })

  it("rounds to float16 as IEEE 754 says: ties to even, subnormals, -0", async () => {
    const table: readonly (readonly [number, number])[] = [
      [0, 0],
      [-0, -0],
      [2 ** -24, 2 ** -24],
      [2 ** -25, 0], // half of the smallest number: the even neighbour is 0
      [-(2 ** -25), -0],
      [2 ** -25 * (1 + 2 ** -23), 2 ** -24],
      [3 * 2 ** -25, 2 ** -23], // between 1 and 2 steps
      [5 * 2 ** -25, 2 ** -23], // between 2 and 3
      [1023.5 * 2 ** -24, 2 ** -14], // up into the normal numbers
      [2 ** -14, 2 ** -14],
      [1 + 2 ** -11, 1],
      [1 + 3 * 2 ** -11, 1 + 2 ** -9],
      [1 + 2 ** -11 + 2 ** -23, 1 + 2 ** -10],
      [2 - 2 ** -12, 2],
      [65504, 65504],
      [65519.99609375, 65504],
      [Infinity, Infinity],
      [-Infinity, -Infinity],
      [NaN, NaN],
      [1e-45, 0],
    ]
    const back = await through("F16", table.map(([value]) => value))
    assertEquals(bits(back), bits(Float32Array.from(table, ([, rounded]) => rounded)))
  })

  it("rounds to bfloat16 likewise", async () => {
    const table: readonly (readonly [number, number])[] = [
      [-0, -0],
      [1e-45, 0],
      [2 ** -133, 2 ** -133],
      [2 ** -134, 0],
      [3 * 2 ** -134, 2 ** -132],
      [1 + 2 ** -8, 1],
      [1 + 3 * 2 ** -8, 1 + 2 ** -6],
      [1 + 2 ** -8 + 2 ** -23, 1 + 2 ** -7],
      [2 - 2 ** -9, 2],
      [-3.3895313892515355e38, -3.3895313892515355e38],
      [Infinity, Infinity],
      [-Infinity, -Infinity],
      [NaN, NaN],
    ]
    const back = await through("BF16", table.map(([value]) => value))
    assertEquals(bits(back), bits(Float32Array.from(table, ([, rounded]) => rounded)))
  })

  it("rounds any number to the nearest of its type", async () => {
    const random = randomStream(8)
    const words = Uint32Array.from({ length: 200_000 }, (_, i) => {
      const word = random.nextUint32()
      // Every second one lies on a tie or beside it.
      return i % 2 === 0 ? word : (word & 0xffffe000) | [0, 0xfff, 0x1000, 0x1001][word & 3]
    })
    const all = new Float32Array(words.buffer)
    const cases = [["F16", float16, 65504], ["BF16", bfloat16, 3.38e38]] as const
    for (const [type, round, most] of cases) {
      const values = all.map((x) => Math.abs(x) > most ? 1 / x : x)
      const back = await through(type, values)
      const wrong = back.findIndex((x, i) => !Object.is(x, round(values[i])))
      assertEquals(wrong, -1, `${type}: ${values[wrong]} became ${back[wrong]}`)
    }
  })
})

describe("writing a safetensors file", () => {
  it("refuses what makes no sound file, before the old one is touched", () =>
    withPath(async (path) => {
      writeFileSync(path, "old")
      const one = { name: "x", shape: [2], data: Float32Array.of(1, 2) }
      const faults: readonly (readonly [Parameters<typeof writeSafetensors>[1], string])[] = [
        [[{ ...one, shape: [3] }], '"x" has the shape [3] and 2 values'],
        [[{ ...one, shape: [-1, -2] }], "the shape [-1,-2]"],
        [[{ ...one, shape: [0.5, 4] }], "the shape [0.5,4]"],
        [[one, one], 'found "x" again'],
        [[{ ...one, name: "__metadata__" }], 'found "__metadata__" again'],
        [[{ ...one, type: "I8" as FloatType }], "found I8"],
        [[{ ...one, type: "U8" as FloatType }], "found U8"],
        [[{ ...one, data: Uint8Array.of(1, 2), type: "F16" }], "cannot be written as F16"],
        [
          [{ ...one, data: Float32Array.of(1, -65520), type: "F16" }],
          '"x" has the value -65520, beyond the range of F16',
        ],
        [
          [{ ...one, data: Float32Array.of(1, 3.4e38), type: "BF16" }],
          "beyond the range of BF16",
        ],
      ]
      for (const [tensors, part] of faults) {
        const error = await assertRejects(() => writeSafetensors(path, tensors), GenArmError, part)
        assertEquals(error.reason, { _tag: "InvalidOption", path: ["tensors"] })
      }
      assertEquals(readFileSync(path, "utf8"), "old")
      assertEquals(readdirSync(join(path, "..")), ["model.safetensors"])
    }))

  it("writes bytes as they are, after the wider types", () =>
    withPath(async (path) => {
      const bytes = Uint8Array.of(0, 1, 128, 255, 7, 9)
      await writeSafetensors(path, [
        { name: "a", shape: [2, 3], data: bytes },
        { name: "b", shape: [1], data: Float32Array.of(0.5) },
      ])
      const file = await openSafetensors(path)
      const read = new Uint8Array(6)
      await file.readBytes("a", read)
      assertEquals(read, bytes)
      assertEquals([...file.names], ["b", "a"])
      const short = () => file.readBytes("a", new Uint8Array(5))
      await assertRejects(short, GenArmError, 'has 6 bytes of "a": expected 5')
      await assertRejects(() => file.readBytes("c", read), GenArmError, 'no tensor "c"')
      await file.close()
    }))

  it("replaces the file that was there", () =>
    withPath(async (path) => {
      for (const value of [1, 2]) {
        const data = Float32Array.of(value)
        await writeSafetensors(path, [{ name: "x", shape: [], data }])
      }
      const store = await openSafetensors(path)
      const back = new Float32Array(1)
      await store.readInto("x", back, 0)
      await store.close()
      assert(back[0] === 2)
    }))
})
