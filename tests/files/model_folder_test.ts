import { assertEquals, assertRejects, assertThrows } from "@std/assert"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, it } from "node:test"
import { GenArmError, type GenArmReason } from "../../src/errors.ts"
import { openModelFolder } from "../../src/files/model_folder.ts"
import { openEngine } from "../../src/runtime/open_engine.ts"
import { fixture } from "../_fixtures.ts"
import { specOf } from "../engine/_engines.ts"
import { tinyExport } from "../onnx/_tiny_export.ts"
import {
  altered,
  type Change,
  encodeSafetensors,
  float32,
  temporaryFolder,
  tensorsOf,
} from "./_altered.ts"

/** A change to a fixture, and how opening it must fail. */
interface Fault {
  readonly what: string
  readonly model: string
  readonly files: Readonly<Record<string, Change>>
  readonly tag: GenArmReason["_tag"]
  readonly part: string
}

/** Opens the changed folder and expects the failure. */
async function refuses({ model, files, tag, part }: Fault): Promise<void> {
  using folder = altered(model, files)
  const error = await assertRejects(() => openEngine(specOf(folder.path)), GenArmError, part)
  assertEquals(error.reason._tag, tag)
  assertEquals(error.message.includes("internal"), false, error.message)
}

const invalid = "InvalidModelFile" as const
const unsupported = "UnsupportedModel" as const

const configFaults: readonly (readonly [
  what: string,
  change: Change,
  tag: GenArmReason["_tag"],
  part: string,
])[] = [
  ["is missing", null, invalid, "config.json is missing: expected a folder"],
  ["is empty", "", invalid, "config.json is not JSON"],
  ["is cut off", '{"model_type": "llama"', invalid, "config.json is not JSON"],
  ["is a list", "[]", invalid, "config.json is not a JSON object"],
  ["is null", "null", invalid, "config.json is not a JSON object"],
  [
    "is of no known architecture",
    { json: { model_type: "gpt2" } },
    unsupported,
    '"gpt2" is not one of llama, mistral',
  ],
  [
    "names no architecture",
    { json: { model_type: undefined } },
    unsupported,
    "undefined is not one of",
  ],
  [
    "is of quantised weights",
    { json: { quantization_config: { bits: 4 } } },
    unsupported,
    "quantised already",
  ],
  [
    "has another activation",
    { json: { hidden_act: "gelu" } },
    unsupported,
    'expected hidden_act "silu", found "gelu"',
  ],
  [
    "rotates a part of each head",
    { json: { partial_rotary_factor: 0.5 } },
    unsupported,
    "partial rotary",
  ],
  [
    "has no heads",
    { json: { num_attention_heads: 0 } },
    unsupported,
    "num_attention_heads as an integer from 1",
  ],
  [
    "has heads that do not divide its size",
    { json: { num_attention_heads: 3, num_key_value_heads: 3, head_dim: undefined } },
    unsupported,
    "head_dim as an integer",
  ],
  [
    "has key heads that do not divide its heads",
    { json: { num_key_value_heads: 3, head_dim: undefined } },
    unsupported,
    "4 query heads cannot share 3",
  ],
  ["has heads of odd size", { json: { head_dim: 7 } }, unsupported, "even head size, found 7"],
  ["has text for a number", { json: { hidden_size: "32" } }, unsupported, 'found "32"'],
  ["has no layers", { json: { num_hidden_layers: null } }, unsupported, "num_hidden_layers"],
  [
    "has 10^15 layers",
    { json: { num_hidden_layers: 1e15 } },
    unsupported,
    "integer from 1 to 1048576",
  ],
  [
    "has heads of 10^12 numbers",
    { json: { head_dim: 1e12 } },
    unsupported,
    "integer from 1 to 1048576",
  ],
  [
    "names no context",
    { json: { max_position_embeddings: undefined } },
    unsupported,
    "max_position_embeddings",
  ],
  [
    "has text for its norm",
    { json: { rms_norm_eps: "1e-6" } },
    unsupported,
    "rms_norm_eps as a number",
  ],
  [
    "has an unknown kind of layer",
    { json: { layer_types: ["full_attention", "chunked_attention"] } },
    unsupported,
    'found "chunked_attention"',
  ],
  [
    "has fewer kinds than layers",
    { json: { layer_types: ["full_attention"] } },
    unsupported,
    "for 2 layers, found 1",
  ],
  [
    "has a window of nothing",
    { json: { sliding_window: 0 } },
    unsupported,
    "sliding_window as a positive number",
  ],
  [
    "has an unknown RoPE",
    { json: { rope_parameters: { rope_type: "longrope", rope_theta: 1e4 } } },
    unsupported,
    '"longrope"',
  ],
  [
    "has RoPE without its factor",
    { json: { rope_parameters: { rope_type: "linear" } } },
    unsupported,
    "linear RoPE needs factor as a positive number, found undefined",
  ],
  [
    "has RoPE of a negative base",
    { json: { rope_parameters: { rope_theta: -1 } } },
    unsupported,
    "rope_theta as a positive number, found -1",
  ],
  [
    "belongs to a larger model",
    { json: { hidden_size: 64, head_dim: 8 } },
    invalid,
    "shape [300,64], found [300,32]",
  ],
  [
    "belongs to a model of a million ids",
    { json: { vocab_size: 1e6 } },
    invalid,
    "shape [1000000,32], found [300,32]",
  ],
  [
    "has more layers than the weights",
    { json: { num_hidden_layers: 3, layer_types: undefined } },
    invalid,
    'no tensor "model.layers.2.input_layernorm.weight"',
  ],
  [
    "says biases that the weights have not",
    { json: { attention_bias: true } },
    invalid,
    'no tensor "model.layers.0.self_attn.q_proj.bias"',
  ],
]

describe("a folder is refused whose config.json", () => {
  for (const [what, change, tag, part] of configFaults) {
    it(what, () => refuses({ what, model: "llama", files: { "config.json": change }, tag, part }))
  }

  it("is of quantised weights, unless it says so with null", async () => {
    using folder = altered("llama", { "config.json": { json: { quantization_config: null } } })
    await (await openEngine(specOf(folder.path))).close()
  })
})

describe("a folder is refused whose weights", () => {
  const tensors = tensorsOf("llama")
  const { "model.norm.weight": norm, ...withoutNorm } = tensors
  const { "lm_head.weight": _, ...withoutHead } = tensors
  const weights = (changed: Parameters<typeof encodeSafetensors>[0]) => ({
    "model.safetensors": encodeSafetensors(changed),
  })
  const faults: readonly (readonly [what: string, files: Fault["files"], part: string])[] = [
    ["are empty", { "model.safetensors": "" }, "too short for a header"],
    ["lack a tensor", weights(withoutNorm), 'no tensor "model.norm.weight"'],
    ["lack an untied head", weights(withoutHead), 'no tensor "lm_head.weight"'],
    [
      "have a tensor of another shape",
      weights({ ...tensors, "model.norm.weight": float32([8], new Array(8).fill(1)) }),
      'asks for "model.norm.weight" of shape [32], found [8]',
    ],
    [
      "have a tensor of another rank",
      weights({ ...tensors, "model.norm.weight": { ...norm, shape: [32, 1] } }),
      'asks for "model.norm.weight" of shape [32], found [32,1]',
    ],
  ]
  for (const [what, files, part] of faults) {
    it(what, () => refuses({ what, model: "llama", files, tag: invalid, part }))
  }
})

describe("a folder is refused whose index of weights", () => {
  const index = "model.safetensors.index.json"
  const original = JSON.parse(readFileSync(join(fixture("llama_sharded"), index), "utf8"))
  const naming = (shard: unknown): Change => ({
    json: { weight_map: { ...original.weight_map, "model.norm.weight": shard } },
  })
  const { "model.norm.weight": _, ...withoutNorm } = original.weight_map
  const faults: readonly (readonly [what: string, change: Change, part: string])[] = [
    [
      "names a missing file",
      naming("model-00009.safetensors"),
      "model-00009.safetensors cannot be opened",
    ],
    [
      "names a file outside",
      naming("../model.safetensors"),
      'as a shard: "../model.safetensors"',
    ],
    ["names an absolute path", naming("/etc/passwd"), 'as a shard: "/etc/passwd"'],
    ["names the folder above", naming(".."), 'as a shard: ".."'],
    ["names the folder itself", naming("."), 'as a shard: "."'],
    ["names no file", naming(""), 'as a shard: ""'],
    ["names a number", naming(3), 'as a shard: "3"'],
    [
      "names another shard than holds the tensor",
      naming("model-00001-of-00003.safetensors"),
      'no tensor "model.norm.weight"',
    ],
    [
      "lacks a tensor",
      { json: { weight_map: withoutNorm } },
      'names no shard for "model.norm.weight"',
    ],
    ["has no map", { json: { weight_map: null } }, "has no weight_map"],
    [
      "has an empty map",
      { json: { weight_map: {} } },
      'names no shard for "model.embed_tokens.weight"',
    ],
    ["is not JSON", "{", "is not JSON"],
  ]
  for (const [what, change, part] of faults) {
    const fault = { what, model: "llama_sharded", files: { [index]: change }, tag: invalid, part }
    it(what, () => refuses(fault))
  }

  it("names a file that is not one of tensors", () =>
    refuses({
      what: "",
      model: "llama_sharded",
      files: { "model-00002-of-00003.safetensors": "not tensors" },
      tag: invalid,
      part: "model-00002-of-00003.safetensors declares a header",
    }))
})

describe("a folder with an export", () => {
  const sound = tinyExport()
  const config = { json: { vocab_size: 11 } }
  const opening = (model: Change, more: Fault["files"] = {}) => ({
    model: "onnx_export",
    files: { "config.json": config, "onnx/model.onnx": model, ...more },
  })

  it("runs whatever its architecture", async () => {
    using folder = altered("onnx_export", {
      "config.json": { json: { model_type: "gpt2" } },
    })
    const engine = await openEngine(specOf(folder.path))
    const cache = engine.openCache()
    const [row] = await engine.forward([{ cache, tokens: [1, 2], want: "last" }])
    assertEquals(row.length, 300)
    await engine.close()
  })

  it("runs beside weights of an architecture that is not known", async () => {
    using folder = altered("llama", {
      "config.json": { json: { model_type: "gpt2", vocab_size: 11 } },
      "onnx/model.onnx": sound,
    })
    const engine = await openEngine(specOf(folder.path))
    assertEquals(engine.vocabularySize, 11)
    await engine.close()
  })

  const faults: readonly (readonly [
    what: string,
    opening: Pick<Fault, "model" | "files">,
    tag: GenArmReason["_tag"],
    part: string,
  ])[] = [
    ["is empty", opening(""), "EngineFailed", "ONNX Runtime could not open the model"],
    [
      "is cut off",
      opening(sound.subarray(0, sound.length / 2)),
      "EngineFailed",
      "could not open the model",
    ],
    ["is not a graph", opening("hello"), "EngineFailed", "could not open the model"],
    [
      "has no cache",
      opening(tinyExport({ withoutPast: true })),
      unsupported,
      "no past_key_values inputs",
    ],
    [
      "does not give its cache back",
      opening(tinyExport({ withoutPresent: true })),
      unsupported,
      'does not give "present.0.key"',
    ],
    [
      "keeps its cache in float16",
      opening(tinyExport({ float16: true })),
      unsupported,
      "a cache of float16",
    ],
    [
      "asks for what no decoder has",
      opening(tinyExport({ extraInput: "pixel_values" })),
      unsupported,
      '"pixel_values"',
    ],
    [
      "gives no logits",
      opening(tinyExport({ output: "hidden" })),
      unsupported,
      'no float32 output "logits"',
    ],
    [
      "names no context",
      opening(sound, { "config.json": { json: { max_position_embeddings: undefined } } }),
      unsupported,
      "max_position_embeddings",
    ],
    [
      "is of another precision",
      opening(null, { "onnx/model_q4.onnx": sound }),
      "ModelNotFound",
      "expected model.safetensors of a Llama-family model, or onnx/model.onnx; found onnx/model_q4.onnx",
    ],
    ["is none", opening(null), "ModelNotFound", "expected model.safetensors"],
  ]
  for (const [what, { model, files }, tag, part] of faults) {
    it(`is refused when the export ${what}`, () => refuses({ what, model, files, tag, part }))
  }
})

describe("a folder", () => {
  it("without weights is refused", () =>
    refuses({
      what: "",
      model: "llama",
      files: { "model.safetensors": null },
      tag: "ModelNotFound",
      part: "expected model.safetensors of a Llama-family model",
    }))

  it("that is none is refused, naming what a folder has", async () => {
    using folder = temporaryFolder()
    const file = join(folder.path, "file")
    writeFileSync(file, "")
    for (const path of [join(folder.path, "none"), file]) {
      const error = await assertRejects(() => openModelFolder(path), GenArmError, "config.json")
      assertEquals(error.reason, { _tag: "ModelNotFound", model: path })
    }
  })

  it("of an adapter in a model's place is refused, saying where it belongs", async () => {
    using folder = altered("llama", { "config.json": null, "adapter_config.json": "{}" })
    await assertRejects(() => openModelFolder(folder.path), GenArmError, "as in arm({ adapter })")
  })

  it("may lack generation_config.json, and is refused when that is broken", async () => {
    using without = altered("llama", { "generation_config.json": null })
    assertEquals((await openModelFolder(without.path)).generationConfig, {})
    using broken = altered("llama", { "generation_config.json": "{" })
    const error = await assertRejects(() => openModelFolder(broken.path), GenArmError, "not JSON")
    assertEquals(error.reason._tag, invalid)
  })

  it("whose config.json is a folder is refused", async () => {
    using folder = altered("llama", { "config.json": null })
    mkdirSync(join(folder.path, "config.json"))
    const error = await assertRejects(
      () => openModelFolder(folder.path),
      GenArmError,
      "cannot be read",
    )
    assertEquals(error.reason._tag, invalid)
  })

  it("made for a test is gone after it", () => {
    let path = ""
    {
      using folder = altered("llama", {})
      path = folder.path
      readFileSync(join(path, "config.json"))
    }
    assertThrows(() => readFileSync(join(path, "config.json")))
  })
})
