import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert"
import { describe, it } from "node:test"
import type { Engine } from "../../src/engine/engine.ts"
import { GenArmError, type GenArmReason } from "../../src/errors.ts"
import { openModelFolder, openTensors } from "../../src/files/model_folder.ts"
import { readLlamaConfig } from "../../src/llama/config.ts"
import { quantizedMatrices } from "../../src/llama/prepared_weights.ts"
import { readLlamaWeights } from "../../src/llama/weights.ts"
import { openWeights } from "../../src/runtime/open_weights.ts"
import { expected, fixture, largestDifference } from "../_fixtures.ts"
import { expectedValues, valueHead } from "../_value_heads.ts"
import { open, specOf } from "../engine/_engines.ts"
import { openEngine } from "../../src/runtime/open_engine.ts"
import { altered, type Change, encodeSafetensors, float32, tensorsOf } from "../files/_altered.ts"
import { adapterFixture } from "./_adapters.ts"
import { dequantizedFolder } from "./_dequantized.ts"

/** `[ids * width]`, in pieces of the given sizes. */
async function inPieces(
  engine: Engine,
  ids: readonly number[],
  sizes: readonly number[],
  adapter?: string,
): Promise<number[]> {
  const cache = engine.openCache(adapter)
  const values: number[] = []
  let at = 0
  for (const size of sizes) {
    const tokens = ids.slice(at, at += size)
    values.push(...(await engine.forward([{ cache, tokens, want: "all" }]))[0])
  }
  cache.close()
  return values
}

async function valuesOf(
  folder: string,
  ids: readonly number[],
  precision: "f32" | "q8" | "q4" = "f32",
): Promise<number[]> {
  const engine = await open(folder, { precision })
  try {
    return await inPieces(engine, ids, [ids.length])
  } finally {
    await engine.close()
  }
}

describe("a folder with a value head", () => {
  for (const [name, { ids, labels, values }] of Object.entries(expectedValues)) {
    it(`${name} gives transformers' values after every token, however it is read`, async () => {
      const engine = await open(fixture(valueHead(name)))
      try {
        assertEquals([engine.width, engine.vocabularySize], [labels.length, 300])
        for (const sizes of [[40], [17, 1, 1, 21], ids.map(() => 1)]) {
          const worst = largestDifference(await inPieces(engine, ids, sizes), values.flat())
          assert(worst < 1e-5, `in pieces of ${sizes} it is ${worst} off`) // measured: 3.5e-6
        }
      } finally {
        await engine.close()
      }
    })

    for (const [precision, bits] of [["q8", 8], ["q4", 4]] as const) {
      it(`${name} at ${bits} bits gives what its weights stand for, head in float32`, async () => {
        using reference = dequantizedFolder(fixture(valueHead(name)), bits)
        const wanted = await valuesOf(reference.path, ids)
        const found = await valuesOf(fixture(valueHead(name)), ids, precision)
        const worst = largestDifference(wanted, found)
        // Activations are rounded to 8 bits. Measured: 0.18, of values from -3 to 4.
        assert(worst > 0 && worst < 0.3, `${worst} off`)
      })
    }
  }

  it("gives at 8 bits what is near the values in float32", async () => {
    const { ids, values } = expectedValues.reward
    const found = await valuesOf(fixture(valueHead("reward")), ids, "q8")
    assert(largestDifference(found, values.flat()) < 0.4) // measured: 0.19
  })

  it("takes an adapter of its layers, beside rows without", async () => {
    const { ids, values, adapted } = expectedValues.reward
    const adapter = adapterFixture("attention")
    const engine = await open(fixture(valueHead("reward")), { adapters: [adapter] })
    try {
      const both = await Promise.all([
        inPieces(engine, ids, [40], adapter),
        inPieces(engine, ids, [40]),
      ])
      assert(largestDifference(both[0], adapted!.flat()) < 1e-5)
      assert(largestDifference(both[1], values.flat()) < 1e-5)
    } finally {
      await engine.close()
    }
  })

  it("keeps prepared weights without the head", async () => {
    using folder = altered(valueHead("sentiment"), {})
    const config = readLlamaConfig((await openModelFolder(folder.path)).config, "tiny")
    const names = quantizedMatrices(config, "q4").map(({ name }) => name)
    assertEquals(
      names,
      ["queryKeyValue", "output", "gateUp", "down"].flatMap((key) => `layers.0.${key}`)
        .concat(["queryKeyValue", "output", "gateUp", "down"].map((key) => `layers.1.${key}`)),
    )
    const store = await openTensors(folder.path)
    try {
      const options = { model: "tiny", precision: "q4" } as const
      const fresh = await readLlamaWeights(config, store, options)
      for (const _ of ["written", "read"]) {
        const kept = await openWeights(config, folder.path, store, { ...options, leastWeights: 1 })
        assertEquals(kept, fresh)
      }
      assert(fresh.head.values instanceof Float32Array && fresh.head.rows === 3)
    } finally {
      await store.close()
    }
  })
})

describe("the labels of a value head", () => {
  const json = (config: object) => ({
    ...{ model_type: "llama", architectures: ["LlamaForSequenceClassification"] },
    ...{ hidden_size: 8, intermediate_size: 8, num_hidden_layers: 1, num_attention_heads: 1 },
    ...{ vocab_size: 8, max_position_embeddings: 8, tie_word_embeddings: true },
    ...config,
  })
  const labelsOf = (config: object) => readLlamaConfig(json(config), "tiny").labels

  it("are those of id2label, else as many as num_labels, else two", () => {
    assertEquals(labelsOf({ id2label: { 1: "b", 0: "a" }, num_labels: 3 }), ["a", "b"])
    assertEquals(labelsOf({ num_labels: 1 }), ["LABEL_0"])
    assertEquals(labelsOf({ id2label: null }), ["LABEL_0", "LABEL_1"])
  })

  it("are there with that architecture only, whose head shares nothing", () => {
    assertEquals(readLlamaConfig(json({}), "tiny").tiedHead, false)
    const language = readLlamaConfig(json({ architectures: ["LlamaForCausalLM"] }), "tiny")
    assertEquals(["labels" in language, language.tiedHead], [false, true])
    assertEquals("labels" in readLlamaConfig(json({ architectures: undefined }), "tiny"), false)
  })

  for (
    const [config, part] of [
      [{ id2label: { 1: "a", 2: "b" } }, 'expected id2label as the names of the labels, "0", "1"'],
      [{ id2label: {} }, "found {}"],
      [{ id2label: "good" }, 'found "good"'],
      [{ id2label: { 0: 7 } }, 'found {"0":7}'],
      [{ num_labels: 0 }, "expected num_labels as an integer from 1 to 65536, found 0"],
      [{ num_labels: 1e9 }, "found 1000000000"],
    ] as const
  ) {
    it(`are not read from ${JSON.stringify(config)}`, () => {
      const error = assertThrows(() => labelsOf(config), GenArmError, part)
      assertEquals(error.reason, { _tag: "UnsupportedModel", model: "tiny" })
    })
  }

  for (
    const head of [
      "LlamaForTokenClassification",
      "Qwen2ForProcessRewardModel",
      "LlamaForRewardModelWithGating",
    ]
  ) {
    it(`are not those of ${head}, which is refused`, () => {
      const reading = () => labelsOf({ architectures: [head] })
      assertThrows(
        reading,
        GenArmError,
        `the head of ${head} is not supported: expected a language`,
      )
    })
  }
})

describe("a folder is refused whose value head", () => {
  const reward = tensorsOf(valueHead("reward"))
  const language = tensorsOf("llama")
  const { "score.weight": _, ...headless } = reward
  const weights = (tensors: typeof reward) => ({ "model.safetensors": encodeSafetensors(tensors) })
  const faults: readonly (readonly [
    what: string,
    model: string,
    files: Readonly<Record<string, Change>>,
    tag: GenArmReason["_tag"],
    ...parts: string[],
  ])[] = [
    [
      ...["is missing", valueHead("reward")] as const,
      weights(headless),
      "InvalidModelFile",
      'expected "score.weight" of shape [1, 32] in its weights, found no head',
      "name the folder that its training saved",
    ],
    [
      ...["is that of a language model", valueHead("reward")] as const,
      weights(language),
      "InvalidModelFile",
      'found "lm_head.weight", the head of a language model',
      '"architectures": ["...ForCausalLM"]',
    ],
    [
      ...["belongs to what is called a language model", "llama"] as const,
      weights(reward),
      "InvalidModelFile",
      'expected "lm_head.weight" in its weights, found "score.weight", the head of a reward model',
      "valueHead({ model })",
    ],
    [
      ...["has fewer rows than labels", valueHead("reward")] as const,
      { "config.json": { json: { id2label: undefined } } },
      "InvalidModelFile",
      "config.json has 2 labels",
      'expected as many rows in "score.weight", found 1: give id2label a name for each row',
    ],
    [
      ...["has more rows than labels", valueHead("sentiment")] as const,
      { "config.json": { json: { id2label: { 0: "good" } } } },
      "InvalidModelFile",
      "config.json has 1 label,",
      "found 3",
    ],
    [
      ...["is of another width", valueHead("reward")] as const,
      weights({ ...reward, "score.weight": float32([1, 16], new Float32Array(16)) }),
      "InvalidModelFile",
      '"score.weight" of shape [1,32], found [1,16]',
    ],
    [
      ...["stands in a ready export", "onnx_export"] as const,
      { "config.json": { json: { architectures: ["BertForSequenceClassification"] } } },
      "UnsupportedModel",
      "is a ready export of BertForSequenceClassification: expected model.safetensors",
      "classifier({ classify })",
    ],
  ]
  for (const [what, model, files, tag, ...parts] of faults) {
    it(what, async () => {
      using folder = altered(model, files)
      const opening = () => openEngine(specOf(folder.path))
      const error = await assertRejects(opening, GenArmError)
      for (const part of parts) assert(error.message.includes(part), error.message)
      assertEquals(error.reason._tag, tag)
    })
  }

  for (const precision of ["f32", "q8"] as const) {
    for (const value of [NaN, Infinity]) {
      it(`holds ${value}, when it is asked, at ${precision}`, async () => {
        const { shape, data } = tensorsOf(valueHead("sentiment"))["score.weight"]
        const damaged = new Float32Array(data.slice().buffer)
        damaged[2 * 32 + 5] = value // of the last label alone
        using folder = altered(
          valueHead("sentiment"),
          weights({
            ...tensorsOf(valueHead("sentiment")),
            "score.weight": float32(shape, damaged),
          }),
        )
        const engine = await open(folder.path, { precision })
        try {
          const cache = engine.openCache()
          const asking = () => engine.forward([{ cache, tokens: [5, 6], want: "last" }])
          const error = await assertRejects(asking, GenArmError, "as the value of a label")
          assertEquals(error.reason, { _tag: "NonFiniteScores", term: "tiny" })
          assertEquals(cache.length, 0)
        } finally {
          await engine.close()
        }
      })
    }
  }

  it("is asked about ids that the model does not have", async () => {
    const engine = await open(fixture(valueHead("reward")))
    try {
      const tokens = [expected.llama.ids[0], 300]
      const asking = () => engine.forward([{ cache: engine.openCache(), tokens, want: "last" }])
      await assertRejects(asking, GenArmError, "0 to 299, found 300 at position 1")
    } finally {
      await engine.close()
    }
  })
})
