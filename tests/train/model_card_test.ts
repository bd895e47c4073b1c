import { assert, assertEquals, assertStringIncludes } from "@std/assert"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, it } from "node:test"
import { drawCurves } from "../../src/train/export/draw_curves.ts"
import { modelCard, writeModelCard } from "../../src/train/export/model_card.ts"
import type { TrainingRecord } from "../../src/train/export/training_record.ts"
import { temporaryFolder } from "../files/_altered.ts"

const record: TrainingRecord = {
  name: "Cheerful stories",
  summary: "Prefers stories that end well.",
  base: "someone/story-teller",
  adapter: { rank: 8, alpha: 16, targets: ["q_proj", "v_proj"] },
  parameters: { total: 3_141_592, trained: 65_536 },
  data: [{
    name: "pairs | ranked.jsonl",
    read: 1200,
    kept: 1150,
    heldOut: 50,
    report: "dropped 50: 30 equal responses, 20 empty ones\n```",
    licence: "MIT",
  }],
  objective: { name: "armPreference", options: { beta: 0.05, lossType: "sigmoid" } },
  hyperParameters: { learningRate: 0.0003, batch: 16, betas: [0.9, 0.99], clip: 1 / 3 },
  seed: 7,
  steps: 300,
  seconds: 754,
  tokens: 1_234_567,
  curve: [
    { step: 0, heldOutLoss: 0.693, heldOutAccuracy: 0.5 },
    { step: 100, trainingLoss: 0.61, heldOutLoss: 0.6, heldOutAccuracy: 0.66 },
    { step: 200, trainingLoss: 0.5, heldOutLoss: 0.52, heldOutAccuracy: 0.71 },
  ],
  before: { "loss": 0.693 },
  heldOut: { "preference accuracy": 0.71234567, "loss": 0.52 },
  versions: { genarm: "0.1.0" },
  licence: "mit",
  licenceNotes: "The stories are machine-made.",
  languages: ["en"],
}

describe("a model card", () => {
  const card = modelCard(record)

  it("begins with what the hub reads", () => {
    assertEquals(
      card.split("---\n")[1],
      [
        'base_model: "someone/story-teller"',
        'library_name: "peft"',
        'pipeline_tag: "text-generation"',
        'license: "mit"',
        "language:",
        '  - "en"',
        "tags:",
        '  - "genarm"',
        '  - "reward-guided-generation"',
        '  - "armPreference"',
        '  - "lora"',
        "",
      ].join("\n"),
    )
  })

  it("tells what was trained, from what, how, and with what result", () => {
    for (
      const part of [
        "# Cheerful stories\n\nPrefers stories that end well.\n",
        "rank 8, alpha 16, on `q_proj`, `v_proj`) for `someone/story-teller`: 65,536 of 3,141,592",
        'PeftModel.from_pretrained(base, "path/of/this/folder")',
        '```ts\nconst reward = arm({ adapter: "path/of/this/folder" })\n```',
        "| figure | before the training | after it |",
        "| preference accuracy | | 0.71235 |",
        "| loss | 0.693 | 0.52 |",
        "![Curves of the training run](curves.svg)",
        "| pairs \\| ranked.jsonl | 1,200 | 1,150 | 50 | MIT |",
        "````text\ndropped 50: 30 equal responses, 20 empty ones\n```\n````",
        "`armPreference`.",
        "| beta | 0.05 |",
        "| learningRate | 0.0003",
        "| betas | 0.9, 0.99",
        "| clip | 0.33333",
        "| tokens | 1,234,567",
        "| time | 13 min",
        "| tokens per second | 1,637",
        "| genarm | 0.1.0 |",
        "mit. The terms of `someone/story-teller` and of the data apply as well. The stories are",
      ]
    ) assertStringIncludes(card.replaceAll(/ +/g, " "), part)
  })

  it("calls a reward only what was trained as one", () => {
    const card = modelCard({ ...record, objective: { name: "dpo", options: {} } })
    assertStringIncludes(card, "An adapter of a language model")
    assert(!card.includes("reward model:"), card)
  })

  it("tells of a new model without an adapter, a base or curves", () => {
    const { base: _base, adapter: _adapter, licence: _licence, ...rest } = record
    const card = modelCard({
      ...rest,
      parameters: { total: 1000, trained: 1000 },
      objective: { name: "nextToken", options: {} },
      data: [],
      curve: [],
      heldOut: {},
    })
    assertStringIncludes(card, 'library_name: "transformers"')
    assertStringIncludes(card, "Trained from random weights: 1,000 parameters.")
    assertStringIncludes(card, "No licence is stated")
    assertStringIncludes(card, "A language model in the layout")
    for (const part of ["base_model", "lora", "curves.svg", "undefined", "license:"]) {
      assert(!card.includes(part), part)
    }
  })

  it("does not tell the hub a folder of this machine as a base", () => {
    for (const base of ["./model", "/data/model", "../a/b", "C:\\model"]) {
      assert(!modelCard({ ...record, base }).includes("base_model:"), base)
    }
    assertStringIncludes(modelCard({ ...record, base: "hub:a/b" }), 'base_model: "a/b"')
  })

  it("is written with its picture", async () => {
    using folder = temporaryFolder()
    await writeModelCard(folder.path, record)
    assertEquals(readdirSync(folder.path).sort(), ["README.md", "curves.svg"])
    assertEquals(readFileSync(join(folder.path, "README.md"), "utf8"), card)
    const svg = readFileSync(join(folder.path, "curves.svg"), "utf8")
    for (const text of ["Loss", "Held-out accuracy", "training", "held out", "steps"]) {
      assertStringIncludes(svg, `>${text}</text>`)
    }
  })
})

describe("curves", () => {
  it("are none where no figures were taken", () => {
    assertEquals(drawCurves([]), undefined)
    assertEquals(drawCurves([{ step: 1 }, { step: 2 }]), undefined)
  })

  it("of very long runs are means, so that the picture stays small", () => {
    const curve = Array.from(
      { length: 20_000 },
      (_, step) => ({ step, trainingLoss: 2 + step % 2 }),
    )
    const svg = drawCurves(curve)
    assert(svg !== undefined && svg.length < 10_000, `${svg?.length}`)
    assert(!svg.includes("NaN"))
  })
})
