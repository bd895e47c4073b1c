import { assert, assertEquals, assertRejects } from "@std/assert"
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, it } from "node:test"
import { GenArmError } from "../../src/errors.ts"
import { linearModules } from "../../src/llama/linear_modules.ts"
import { exportAdapter } from "../../src/train/export/export_adapter.ts"
import { expected, fixture, largestDifference, logSoftmax } from "../_fixtures.ts"
import { open } from "../engine/_engines.ts"
import { type StoredTensor, temporaryFolder } from "../files/_altered.ts"
import {
  adapterFiles,
  adapterFixture,
  adapterFolder,
  expectedAdapters,
  madeAdapter,
  type MadeFiles,
  type MadeSettings,
  merged,
} from "./_adapters.ts"
import { dequantizedFolder } from "./_dequantized.ts"

type Precision = "f32" | "q8" | "q4"

/** `[positions * vocabulary]` of one text; of the base itself where no adapter is named. */
async function distributions(
  folder: string,
  ids: readonly number[],
  { adapters = [], use, precision = "f32" }: {
    readonly adapters?: readonly string[]
    readonly use?: string
    readonly precision?: Precision
  } = {},
): Promise<Float32Array> {
  const engine = await open(folder, { adapters, precision })
  try {
    const cache = engine.openCache(use)
    return (await engine.forward([{ cache, tokens: ids, want: "all" }]))[0]
  } finally {
    await engine.close()
  }
}

/** The largest Kullback-Leibler divergence of a position, in nats. */
function divergence(p: Float32Array, q: Float32Array, size: number): number {
  let worst = 0
  for (let at = 0; at < p.length; at += size) {
    let sum = 0
    for (let i = at; i < at + size; i++) sum += Math.exp(p[i]) * (p[i] - q[i])
    worst = Math.max(worst, sum)
  }
  return worst
}

describe("an adapter made by PEFT", () => {
  for (const [name, { model, change, logits_at }] of Object.entries(expectedAdapters)) {
    it(`gives PEFT's logits: ${name} on ${model}`, async () => {
      const { ids } = expected[model]
      const adapter = adapterFixture(name)
      const found = await distributions(fixture(model), ids, { adapters: [adapter], use: adapter })
      const size = found.length / ids.length
      for (const [at, logits] of Object.entries(logits_at)) {
        const row = found.subarray(Number(at) * size, (Number(at) + 1) * size)
        const worst = largestDifference(row, logSoftmax(logits))
        assert(worst < 1e-4, `position ${at} is ${worst} off`) // measured: 3.4e-6 at most
      }
      assert(change > 0.5, "the adapter matters")
    })
  }
})

describe("an adapter", () => {
  for (const model of ["llama", "tinyllama", "qwen2", "qwen3"]) {
    for (const targets of [...linearModules.map((module) => [module]), linearModules]) {
      const what = targets.length > 1 ? "all modules" : targets[0]
      it(`on ${what} of ${model} equals the weights it is merged into`, async () => {
        const { ids } = expected[model]
        const settings = { targets, seed: 5, rank: 3, alpha: 5 }
        using adapter = madeAdapter(fixture(model), settings)
        using reference = merged(fixture(model), settings)
        const found = await distributions(fixture(model), ids, {
          adapters: [adapter.path],
          use: adapter.path,
        })
        const wanted = await distributions(reference.path, ids)
        const worst = largestDifference(found, wanted)
        assert(worst < 1e-4, `${worst} off`) // measured: 2.4e-5 at most
        const base = await distributions(fixture(model), ids)
        assert(largestDifference(base, wanted) > 0.05, "the adapter matters")
      })
    }
  }

  it("may be one that this project wrote", async () => {
    const { ids } = expected.llama
    const settings = { targets: linearModules, rank: 3, alpha: 5, seed: 6 }
    using folder = temporaryFolder()
    const { tensors } = adapterFiles(fixture("llama"), settings)
    await exportAdapter({
      out: folder.path,
      baseName: "llama",
      rank: settings.rank,
      alpha: settings.alpha,
      targets: linearModules,
      tensors: Object.entries(tensors).map(([name, { shape, data }]) => ({
        name,
        shape,
        data: new Float32Array(data.slice().buffer),
      })),
    })
    using reference = merged(fixture("llama"), settings)
    const found = await distributions(fixture("llama"), ids, {
      adapters: [folder.path],
      use: folder.path,
    })
    const worst = largestDifference(found, await distributions(reference.path, ids))
    assert(worst < 1e-4, `${worst} off`)
  })

  const kinds: Record<string, MadeSettings> = {
    "a rank-stabilised one": { isStabilised: true, rank: 8, alpha: 3 },
    "one with ranks of their own": { ranks: { k_proj: 1, up_proj: 7, down_proj: 2 } },
    "one of rank 1": { rank: 1 },
    "one whose rank is above the size of its modules": { rank: 50 },
  }
  for (const [name, settings] of Object.entries(kinds)) {
    it(`may be ${name}`, async () => {
      const { ids } = expected.llama
      using adapter = madeAdapter(fixture("llama"), settings)
      using reference = merged(fixture("llama"), settings)
      const found = await distributions(fixture("llama"), ids, {
        adapters: [adapter.path],
        use: adapter.path,
      })
      const worst = largestDifference(found, await distributions(reference.path, ids))
      assert(worst < 1e-4, `${worst} off`)
    })
  }

  for (const precision of ["q8", "q4"] as const) {
    it(`runs on a base held as ${precision}, and leaves the base's own rows as they are`, async () => {
      const { ids } = expected.llama
      const settings = { seed: 9, rank: 4 }
      using adapter = madeAdapter(fixture("llama"), settings)
      const adapters = [adapter.path]
      const base = await distributions(fixture("llama"), ids, { precision })
      assertEquals(await distributions(fixture("llama"), ids, { precision, adapters }), base)

      using meant = dequantizedFolder(fixture("llama"), precision === "q8" ? 8 : 4)
      using reference = merged(meant.path, settings)
      const wanted = await distributions(reference.path, ids)
      const found = await distributions(fixture("llama"), ids, {
        precision,
        adapters,
        use: adapter.path,
      })
      // The quantised products round their inputs to 8 bits. Measured: 0.007 at most.
      const nats = divergence(wanted, found, 300)
      assert(nats < 0.15, `${nats} nats off`)
      assert(divergence(base, found, 300) > 1, "the adapter matters")
    })
  }
})

/** Changes the files of a sound adapter of the fixture `llama` and expects an error. */
async function refuses(
  change: (files: MadeFiles) => MadeFiles,
  tag: "UnsupportedModel" | "InvalidModelFile",
  ...parts: string[]
): Promise<void> {
  using folder = adapterFolder(change(adapterFiles(fixture("llama"))))
  const opening = () => open(fixture("llama"), { adapters: [folder.path] })
  const { message, reason } = await assertRejects(opening, GenArmError)
  for (const part of parts) assert(message.includes(part), `no "${part}" in: ${message}`)
  assertEquals(
    reason,
    tag === "UnsupportedModel"
      ? { _tag: tag, model: folder.path }
      : { _tag: tag, file: join(folder.path, "adapter_model.safetensors") },
  )
}

const firstA = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"

describe("an adapter is refused", () => {
  const settings: [object, ...string[]][] = [
    [{ peft_type: "IA3" }, '"LORA"', '"IA3"'],
    [{ peft_type: null }, '"LORA"', "found null"],
    [{ task_type: "SEQ_CLS" }, '"CAUSAL_LM"', '"SEQ_CLS"'],
    [{ bias: "lora_only" }, 'expected bias "none"', '"lora_only"'],
    [{ modules_to_save: ["lm_head"] }, "modules_to_save", "merge_and_unload"],
    [{ use_dora: true }, "use_dora"],
    [{ fan_in_fan_out: true }, "fan_in_fan_out"],
    [{ lora_bias: true }, "lora_bias"],
    [{ trainable_token_indices: [1] }, "trainable_token_indices"],
    [{ layer_replication: [[0, 1]] }, "layer_replication"],
    [{ a_setting_to_come: 3 }, "a_setting_to_come, 3, is not supported"],
    [{ init_lora_weights: "pissa" }, "pissa", "path_initial_model_for_weight_conversion"],
    [{ target_modules: [...linearModules, "lm_head"] }, "lm_head"],
    [{ target_modules: ".*embed_tokens|.*_proj" }, "model.embed_tokens"],
    [{ target_modules: null }, "target_modules", "null"],
    [{ target_modules: "(?P<name>q_proj)" }, "target_modules cannot be read", "by their names"],
    [{ target_modules: ["c_attn"] }, "name no linear module of tiny"],
    [{ r: 0 }, "expected r as an integer", "found 0"],
    [{ r: 2.5 }, "expected r as an integer", "2.5"],
    [{ r: "4" }, "expected r as an integer", 'found "4"'],
    [{ lora_alpha: null, alpha_pattern: { q_proj: "x" } }, 'alpha_pattern["q_proj"]', 'found "x"'],
    [{ rank_pattern: [4] }, "rank_pattern", "[4]"],
    [{ layers_to_transform: "0" }, "layers_to_transform", '"0"'],
    // What the settings say and the tensors are not.
    [{ r: 8 }, firstA, "[8,32]", "[4,32]"],
    [{ rank_pattern: { up_proj: 5 } }, "mlp.up_proj.lora_A", "[5,32]", "[4,32]"],
    [{ target_modules: ["q_proj"] }, "k_proj.lora_A.weight", "no matrix", firstA],
    [{ layers_to_transform: [0] }, "layers.1.self_attn.q_proj", "no matrix"],
    [{ exclude_modules: ["q_proj"] }, "q_proj.lora_A.weight", "no matrix"],
  ]
  for (const [change, ...parts] of settings) {
    it(`with ${JSON.stringify(change)}`, () =>
      refuses(
        ({ config, tensors }) => ({ config: { ...config, ...change }, tensors }),
        "UnsupportedModel",
        ...parts,
      ))
  }

  it("that was made for a model of another width, more layers, or fewer", async () => {
    const of = (model: string) => () => adapterFiles(fixture(model))
    await refuses(of("smollm"), "UnsupportedModel", "[4,32] for tiny", "[4,36]")
    await refuses(of("tinyllama"), "UnsupportedModel", "k_proj", "[32,4] for tiny", "[8,4]")
    const layer = (from: RegExp, to: string) => ({ config, tensors }: MadeFiles) => ({
      config,
      tensors: Object.fromEntries(
        Object.entries(tensors).map(([name, tensor]) => [name.replace(from, to), tensor]),
      ),
    })
    const more = (files: MadeFiles) => ({
      ...files,
      tensors: { ...files.tensors, ...layer(/layers\.1/, "layers.2")(files).tensors },
    })
    await refuses(more, "UnsupportedModel", "adapts layer 2", "tiny has 2 layers, 0 to 1")
    const fewer = ({ config, tensors }: MadeFiles) => ({
      config,
      tensors: Object.fromEntries(
        Object.entries(tensors).filter(([name]) => !name.includes("layers.1")),
      ),
    })
    await refuses(fewer, "UnsupportedModel", "layers.1.self_attn.q_proj.lora_A", "has none")
  })

  it("whose tensors are of another kind, lack their partner, or hold no numbers", async () => {
    const changed = (tensors: Record<string, StoredTensor | undefined>) => (files: MadeFiles) => ({
      ...files,
      tensors: Object.fromEntries(
        Object.entries({ ...files.tensors, ...tensors }).filter(([, value]) => value !== undefined),
      ) as Record<string, StoredTensor>,
    })
    const { tensors } = adapterFiles(fixture("llama"))
    const magnitude = "base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector"
    await refuses(changed({ [magnitude]: tensors[firstA] }), "UnsupportedModel", magnitude)
    await refuses(changed({ [firstA]: undefined }), "UnsupportedModel", firstA, "has none")
    for (const damage of [NaN, Infinity]) {
      const data = tensors[firstA].data.slice()
      new DataView(data.buffer).setFloat32(40, damage, true)
      const damaged = changed({ [firstA]: { ...tensors[firstA], data } })
      await refuses(damaged, "InvalidModelFile", firstA, "damaged")
    }
    const odd = changed({ [firstA]: { ...tensors[firstA], dtype: "I32" } })
    await refuses(odd, "InvalidModelFile", firstA, "I32")
  })

  it("without its files, naming the one that is missing", async () => {
    using folder = temporaryFolder()
    const opening = () => open(fixture("llama"), { adapters: [folder.path] })
    await assertRejects(opening, GenArmError, "adapter_config.json cannot be read")
    const model = fixture("llama")
    const openModel = () => open(model, { adapters: [model] })
    await assertRejects(openModel, GenArmError, "as in arm({ model })")
    const config = readFileSync(join(adapterFixture("attention"), "adapter_config.json"), "utf8")
    using half = adapterFolder({ config: JSON.parse(config), tensors: {} })
    rmSync(join(half.path, "adapter_model.safetensors"))
    const openHalf = () => open(fixture("llama"), { adapters: [half.path] })
    await assertRejects(openHalf, GenArmError, "adapter_model.safetensors cannot be opened")
    writeFileSync(join(half.path, "adapter_model.bin"), "")
    await assertRejects(openHalf, GenArmError, "keeps its weights in adapter_model.bin")
  })

  it("on a ready export", async () => {
    const adapters = [adapterFixture("attention")]
    const opening = () => open(fixture("onnx_export"), { adapters })
    const error = await assertRejects(opening, GenArmError, "ready export")
    assertEquals(error.reason, { _tag: "UnsupportedModel", model: "tiny" })
  })
})
