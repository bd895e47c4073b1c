import { assertAlmostEquals, assertEquals } from "@std/assert"
import { describe, it } from "node:test"
import { readAdapterConfig } from "../../src/llama/adapter_config.ts"
import { linearModules, moduleName } from "../../src/llama/linear_modules.ts"

/** The modules of two layers that an adapter changes, without what all their names have in common. */
function targets(settings: object): string[] {
  const { settingOf } = readAdapterConfig({ peft_type: "LORA", ...settings }, "it")
  return [0, 1].flatMap((layer) =>
    linearModules
      .map((module) => moduleName(layer, module))
      .filter((name) => settingOf(name) !== undefined)
      .map((name) => name.slice("model.layers.".length).replace(/(self_attn|mlp)\./, ""))
  )
}

function scale(settings: object, module = "model.layers.0.self_attn.q_proj"): number {
  const config = { peft_type: "LORA", target_modules: "all-linear", ...settings }
  return readAdapterConfig(config, "it").settingOf(module)!.scale
}

const both = (...modules: string[]) =>
  [0, 1].flatMap((layer) => modules.map((module) => `${layer}.${module}`))

describe("the targets of an adapter are", () => {
  const cases: [string, object, string[]][] = [
    ["the ends of names", { target_modules: ["v_proj", "mlp.up_proj"] }, both("v_proj", "up_proj")],
    ["whole parts of them", { target_modules: ["proj", "q_proj", "p_proj"] }, both("q_proj")],
    ["full names", { target_modules: ["model.layers.1.mlp.up_proj"] }, ["1.up_proj"]],
    ["all linear modules", { target_modules: "all-linear" }, both(...linearModules)],
    ["what a regular expression matches whole", {
      target_modules: String.raw`.*\.1\.self_attn\.(q|v)_proj`,
    }, ["1.q_proj", "1.v_proj"]],
    ["nothing where it matches a part", { target_modules: "q_proj" }, []],
    ["but for what is left out", {
      target_modules: ["q_proj", "k_proj"],
      exclude_modules: ["layers.0.self_attn.k_proj"],
    }, ["0.q_proj", "1.q_proj", "1.k_proj"]],
    ["but for what a regular expression leaves out", {
      target_modules: "all-linear",
      exclude_modules: ".*(mlp|layers.0).*",
    }, ["1.q_proj", "1.k_proj", "1.v_proj", "1.o_proj"]],
    ["those of some layers", {
      target_modules: ["q_proj"],
      layers_to_transform: [1],
    }, ["1.q_proj"]],
    ["those of one layer", { target_modules: ["q_proj"], layers_to_transform: 0 }, ["0.q_proj"]],
    ["those of layers under a name", {
      target_modules: ["q_proj"],
      layers_to_transform: [0],
      layers_pattern: "layers",
    }, ["0.q_proj"]],
    ["none of layers under another", {
      target_modules: ["q_proj"],
      layers_to_transform: [0],
      layers_pattern: ["h"],
    }, []],
    ["all where the list of layers is empty", {
      target_modules: ["q_proj"],
      layers_to_transform: [],
    }, both("q_proj")],
  ]
  for (const [what, settings, expected] of cases) {
    it(what, () => assertEquals(targets(settings), expected))
  }
})

describe("the factor of an adapter", () => {
  it("is alpha over the rank, or over its root", () => {
    assertEquals(scale({ r: 16, lora_alpha: 8 }), 0.5)
    assertEquals(scale({ r: 16, lora_alpha: 8, use_rslora: true }), 2)
    assertEquals(scale({}), 1, "PEFT's defaults are 8 and 8")
  })

  it("goes by patterns that end a name, the first of which counts", () => {
    const settings = {
      r: 4,
      lora_alpha: 4,
      rank_pattern: { "self_attn.q_proj": 2, q_proj: 1, "^model.layers.1.mlp.up_proj": 8 },
      alpha_pattern: { "layers.0.*": 6, proj: 100 },
    }
    assertEquals(scale(settings), 3)
    assertEquals(scale(settings, "model.layers.1.self_attn.q_proj"), 2)
    assertEquals(scale(settings, "model.layers.1.mlp.up_proj"), 0.5)
    assertAlmostEquals(scale({ ...settings, use_rslora: true }), 6 / Math.SQRT2, 1e-12)
  })
})

describe("settings without effect on what an adapter computes", () => {
  it("are let pass, and so is every setting that is off", () => {
    const settings = {
      base_model_name_or_path: "somewhere",
      peft_version: "0.21.2",
      lora_dropout: 0.1,
      inference_mode: true,
      init_lora_weights: "gaussian",
      eva_config: { rho: 2 },
      use_dora: false,
      modules_to_save: [],
      layer_replication: null,
      a_setting_to_come: {},
    }
    assertEquals(targets({ target_modules: ["o_proj"], ...settings }), both("o_proj"))
  })
})
