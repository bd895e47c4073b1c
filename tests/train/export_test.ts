import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert"
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { describe, it } from "node:test"
import { GenArmError } from "../../src/errors.ts"
import { openTokenizer } from "../../src/files/tokenizer.ts"
import type { LlamaConfig } from "../../src/llama/config.ts"
import { exportAdapter } from "../../src/train/export/export_adapter.ts"
import { exportModel } from "../../src/train/export/export_model.ts"
import type { NamedTensor } from "../../src/train/named_tensor.ts"
import { open } from "../engine/_engines.ts"
import { altered, decodeSafetensors, temporaryFolder, tensorsOf } from "../files/_altered.ts"
import { fixture, largestDifference } from "../_fixtures.ts"
import {
  adapter,
  adapterTensors,
  mergedTensors,
  newModel,
  readModel,
  rewrite,
  rewritten,
  writeAdapter,
  writeNewModel,
} from "./_exports.ts"

/** What transformers and PEFT computed from the same exports: see `check_export.py`. */
const stored: {
  readonly ids: readonly number[]
  readonly new_model: Readonly<Record<string, readonly number[]>>
  readonly adapter: Readonly<Record<string, readonly number[]>>
} = JSON.parse(
  readFileSync(new URL("../fixtures/exports_expected.json", import.meta.url), "utf8"),
)

const json = (folder: string, name: string) => JSON.parse(readFileSync(join(folder, name), "utf8"))

/** How far a folder's log-probabilities are from stored ones. */
async function worstOf(
  folder: string,
  rows: Readonly<Record<string, readonly number[]>>,
): Promise<number> {
  const engine = await open(folder)
  try {
    const cache = engine.openCache()
    const [all] = await engine.forward([{ cache, tokens: [...stored.ids], want: "all" }])
    const size = engine.vocabularySize
    return Math.max(
      ...Object.entries(rows).map(([at, row]) =>
        largestDifference(all.subarray(Number(at) * size, (Number(at) + 1) * size), row)
      ),
    )
  } finally {
    await engine.close()
  }
}

async function fails(
  body: () => Promise<unknown>,
  tag: string,
  part: string,
): Promise<void> {
  const error = await assertRejects(body, GenArmError, part)
  assertEquals(error.reason._tag, tag, error.message)
}

describe("a model written as it was read", () => {
  for (const name of rewritten) {
    it(`${name} has the same weights, configuration and tokenizer`, async () => {
      using folder = temporaryFolder()
      const out = join(folder.path, "out")
      await rewrite(name, out, "F32")
      const weights = readFileSync(join(out, "model.safetensors"))
      assertEquals(decodeSafetensors(weights), tensorsOf(name))
      for (const file of ["config.json", "generation_config.json", "tokenizer.json"]) {
        const [written, original] = [out, fixture(name)].map((path) =>
          readFileSync(join(path, file), "utf8")
        )
        assertEquals(written, original, file)
      }
      assertEquals(readdirSync(out).sort(), readdirSync(fixture(name)).sort())
    })
  }

  it("is the single file of what lay in several", async () => {
    using folder = temporaryFolder()
    await rewrite("llama_sharded", folder.path, "F32")
    const weights = readFileSync(join(folder.path, "model.safetensors"))
    assertEquals(decodeSafetensors(weights), tensorsOf("llama"))
  })

  it("has the type of numbers that was asked for, in its configuration too", async () => {
    using folder = temporaryFolder()
    for (const [type, torch] of [["F16", "float16"], ["BF16", "bfloat16"]] as const) {
      for (const [name, key] of [["llama", "dtype"], ["llama3_config_v4", "torch_dtype"]]) {
        const out = join(folder.path, `${name}_${type}`)
        await rewrite(name, out, type)
        assertEquals(json(out, "config.json"), {
          ...json(fixture(name), "config.json"),
          [key]: torch,
        })
        const types = Object.values(decodeSafetensors(readFileSync(join(out, "model.safetensors"))))
          .map(({ dtype }) => dtype)
        assert(types.length > 10 && types.every((found) => found === type))
      }
    }
    // Rounded as PyTorch rounds: these fixtures are `llama`, rounded by it.
    for (const [type, rounded] of [["F16", "llama_f16"], ["BF16", "llama_bf16"]]) {
      const bytes = readFileSync(join(folder.path, `llama_${type}`, "model.safetensors"))
      assertEquals(decodeSafetensors(bytes), tensorsOf(rounded))
    }
  })

  it("keeps the text of its configuration, so that 8.0 stays 8.0", async () => {
    using folder = temporaryFolder()
    await rewrite("llama3", folder.path, "F16")
    assertStringIncludes(readFileSync(join(folder.path, "config.json"), "utf8"), '"factor": 8.0,')
  })

  it("gets a type where its configuration named none", async () => {
    using base = altered("llama", { "config.json": { json: { dtype: undefined } } })
    using folder = temporaryFolder()
    const out = join(folder.path, "out")
    await exportModel({ out, baseFolder: base.path, ...await readModel(base.path), dtype: "F16" })
    assertEquals(json(out, "config.json").torch_dtype, "float16")
  })
})

describe("a new model", () => {
  it("gives the log-probabilities that transformers computed from it, within 1e-4", async () => {
    using folder = temporaryFolder()
    await writeNewModel(folder.path)
    const worst = await worstOf(folder.path, stored.new_model)
    assert(worst < 1e-4, `${worst}`)
  })

  it("is read as the configuration it was written from, with its ids and a tokenizer", async () => {
    using folder = temporaryFolder()
    await writeNewModel(folder.path)
    assertEquals((await readModel(folder.path)).config, newModel().config)
    assertEquals(json(folder.path, "generation_config.json"), { bos_token_id: 1, eos_token_id: 2 })
    const tokenizer = await openTokenizer(folder.path)
    assertEquals(tokenizer.eos, 2)
  })

  it("may be written into the folder where its tokenizer already is", async () => {
    using folder = altered("llama", {
      "model.safetensors": null,
      "config.json": null,
    })
    const { config, ropeTheta, tensors } = newModel()
    const facts = { ropeTheta, tokenizerFolder: folder.path }
    await exportModel({ out: folder.path, config, tensors, newModel: facts })
    assert(await worstOf(folder.path, stored.new_model) < 1e-4)
  })

  it("is refused where a plain Llama is something else", async () => {
    using folder = temporaryFolder()
    const { config, tensors } = newModel()
    const out = join(folder.path, "out")
    const write = (changes: Partial<LlamaConfig>, ropeTheta: number) =>
      exportModel({
        out,
        config: { ...config, ...changes },
        tensors,
        newModel: { ropeTheta, tokenizerFolder: fixture("llama") },
      })
    await fails(() => write({}, 10_000), "UnsupportedModel", "not one in rope")
    await fails(
      () => write({ slidingWindows: [8, null] }, 500),
      "UnsupportedModel",
      "in slidingWindows: expected [8,null], a Llama has [null,null]",
    )
    assert(!existsSync(out))
  })
})

describe("an adapter", () => {
  it("gives the log-probabilities that PEFT computed from it, within 1e-4", async () => {
    using folder = temporaryFolder()
    await exportModel({
      out: folder.path,
      baseFolder: fixture("llama"),
      ...await mergedTensors(),
    })
    const worst = await worstOf(folder.path, stored.adapter)
    assert(worst < 1e-4, `${worst}`)
  })

  it("is a PEFT folder", async () => {
    using folder = temporaryFolder()
    await writeAdapter(folder.path)
    assertEquals(json(folder.path, "adapter_config.json"), {
      base_model_name_or_path: "llama",
      bias: "none",
      fan_in_fan_out: false,
      inference_mode: true,
      init_lora_weights: true,
      layers_pattern: null,
      layers_to_transform: null,
      lora_alpha: 4.5,
      lora_dropout: 0,
      modules_to_save: null,
      peft_type: "LORA",
      r: 3,
      revision: null,
      target_modules: ["q_proj", "v_proj", "o_proj", "down_proj"],
      task_type: "CAUSAL_LM",
    })
    const tensors = decodeSafetensors(
      readFileSync(join(folder.path, "adapter_model.safetensors")),
    )
    assertEquals(Object.keys(tensors).length, 16)
    const at = (name: string) => tensors[`base_model.model.model.layers.1.${name}.weight`].shape
    assertEquals(at("self_attn.q_proj.lora_A"), [3, 32])
    assertEquals(at("self_attn.q_proj.lora_B"), [32, 3])
    assertEquals(at("mlp.down_proj.lora_A"), [3, 48])
  })

  it("may come with PEFT's prefix or without", async () => {
    using folder = temporaryFolder()
    const [a, b] = ["a", "b"].map((name) => join(folder.path, name))
    await writeAdapter(a)
    const tensors = (await adapterTensors()).map((tensor) => ({
      ...tensor,
      name: `base_model.model.${tensor.name}`,
    }))
    await exportAdapter({ out: b, baseName: "llama", ...adapter, tensors })
    const [first, second] = [a, b].map((path) =>
      readFileSync(join(path, "adapter_model.safetensors")).toString("hex")
    )
    assertEquals(first, second)
  })

  it("is refused with tensors that are not all there, or no numbers", async () => {
    using folder = temporaryFolder()
    const out = join(folder.path, "out")
    const tensors = await adapterTensors()
    const write = (changes: object) =>
      exportAdapter({ out, baseName: "llama", ...adapter, tensors, ...changes })
    const q = "model.layers.0.self_attn.q_proj.lora_A.weight"
    const faults: readonly (readonly [object, string])[] = [
      [{ tensors: tensors.slice(1) }, `expected a tensor "${q}", found none`],
      [{ tensors: tensors.slice(0, -1) }, 'lora_B.weight", found none'],
      [{ tensors: [] }, "found none"],
      [{ tensors: [...tensors, tensors[0]] }, "found one twice"],
      [
        { tensors: [...tensors, { ...tensors[0], name: "model.norm.weight" }] },
        "expected no tensor",
      ],
      [{
        tensors: [...tensors, { ...tensors[0], name: q.replace("0", "999999999") }],
      }, "expected no tensor"],
      [{ rank: 4 }, "of shape [4,32], found [3,32]"],
      [{ rank: 0 }, "expected rank as a positive integer, found 0"],
      [{ alpha: NaN }, "expected alpha as a positive number, found NaN"],
      [{ targets: [] }, "at least one target"],
      [{ targets: ["q_proj", "q_proj"] }, "every target once"],
      [{ targets: ["lm_head"] }, 'found "lm_head"'],
      [
        { tensors: [{ ...tensors[0], data: tensors[0].data.map(() => NaN) }, ...tensors.slice(1)] },
        `expected finite numbers in "${q}", found NaN at 0`,
      ],
    ]
    for (const [changes, part] of faults) {
      await fails(() => write(changes), "InvalidOption", part)
      assert(!existsSync(out), part)
    }
  })
})

describe("writing a model", () => {
  it("refuses what is no model, and leaves the folder as it was", async () => {
    using folder = temporaryFolder()
    const out = join(folder.path, "out")
    const baseFolder = fixture("llama")
    const { config, tensors } = await readModel(baseFolder)
    const [first, ...rest] = tensors
    const changed = (changes: Partial<NamedTensor>) => [{ ...first, ...changes }, ...rest]
    const write = (changes: object) => exportModel({ out, baseFolder, config, tensors, ...changes })
    const faults: readonly (readonly [object, string, string])[] = [
      [{ tensors: rest }, "InvalidOption", `expected a tensor "${first.name}", found none`],
      [{ tensors: changed({ name: "x" }) }, "InvalidOption", 'expected no tensor "x"'],
      [{ tensors: changed({ shape: [1, ...first.shape] }) }, "InvalidOption", "found [1,"],
      [
        { tensors: changed({ data: first.data.map((x, i) => i === 7 ? -Infinity : x) }) },
        "InvalidOption",
        "found -Infinity at 7: training has diverged",
      ],
      [{ dtype: "F64" }, "InvalidOption", 'found "F64"'],
      [{ baseFolder: undefined }, "InvalidOption", "both or neither"],
      [{ newModel: { tokenizerFolder: baseFolder } }, "InvalidOption", "both or neither"],
      [
        { config: { ...config, contextLength: 5 } },
        "UnsupportedModel",
        "differs from its base",
      ],
      [{ baseFolder: join(folder.path, "none") }, "ModelNotFound", "is not a folder"],
    ]
    for (const [changes, tag, part] of faults) {
      await fails(() => write(changes), tag, part)
      assert(!existsSync(out), part)
    }
  })

  it("never writes over the base", async () => {
    using base = altered("llama", {})
    const model = await readModel(base.path)
    const link = `${base.path}-link`
    symlinkSync(base.path, link)
    try {
      for (const out of [base.path, join(base.path, "x", ".."), link]) {
        const write = () => exportModel({ out, baseFolder: base.path, ...model, dtype: "F16" })
        await fails(write, "InvalidOption", "expected another folder than the base's own")
      }
    } finally {
      rmSync(link)
    }
    const bytes = (folder: string) =>
      readFileSync(join(folder, "model.safetensors")).toString("hex")
    assertEquals(bytes(base.path), bytes(fixture("llama")))
  })

  it("leaves old weights where the disk refuses the new ones", async () => {
    using folder = temporaryFolder()
    const weights = join(folder.path, "model.safetensors")
    mkdirSync(weights) // a folder cannot be replaced by a file
    writeFileSync(join(weights, "old"), "")
    await fails(() => rewrite("llama", folder.path, "F32"), "WriteFailed", "could not be written")
    assertEquals(readdirSync(weights), ["old"])
    assert(!readdirSync(folder.path).some((name) => name.endsWith(".writing")))
  })

  it("needs a tokenizer to copy", async () => {
    using folder = temporaryFolder()
    using base = altered("llama", { "tokenizer.json": null })
    const model = await readModel(base.path)
    await fails(
      () => exportModel({ out: folder.path, baseFolder: base.path, ...model }),
      "InvalidModelFile",
      "tokenizer.json is missing",
    )
    assert(!existsSync(join(folder.path, "model.safetensors")))
  })
})
