import { assert, assertEquals } from "@std/assert"
import { describe, it } from "node:test"
import { armPreference, dpo, nextToken } from "genarm"
import { openSafetensors } from "../../src/files/safetensors.ts"
import type { LinearModule } from "../../src/llama/linear_modules.ts"
import { layOut } from "../../src/train/batch.ts"
import { learningRateFactor } from "../../src/train/learning_rate.ts"
import { AdamW, gradientNorm } from "../../src/train/optimizer.ts"
import type { StepResult } from "../../src/train/step_runner.ts"
import { lowRankAdapter, type Trainable } from "../../src/train/trainable.ts"
import { expected, logSoftmax } from "../_fixtures.ts"
import {
  assertClose,
  assertSummary,
  assertTensors,
  batchOf,
  golden,
  type GoldenPairCase,
  namedGradient,
  openTrainable,
  pairBatchOf,
  path,
  withRunner,
} from "./_golden.ts"

const pairs = golden.arm_preference.batch

/** Asserts the means of what is logged by pair. */
function assertLogged({ figures, likelihoods }: StepResult, of: GoldenPairCase): void {
  // PyTorch's log-probabilities are divided by the tokens where rewards are; these never are.
  const { logged } = of.options.length_normalization
    ? { logged: { ...of.logged, ...sums(golden.arm_preference.cases.plain) } }
    : of
  const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x) / values.length
  const names = Object.keys(figures).filter((name) => name !== "loss")
  assertEquals(names.length, 6)
  for (const name of names) assertClose(figures[name], mean(logged[name]), name)
  ;[...logged["logps/chosen"], ...logged["logps/rejected"]]
    .forEach((value, row) => assertClose(likelihoods[row], value, `row ${row}`))
}

function sums({ logged }: GoldenPairCase): GoldenPairCase["logged"] {
  return Object.fromEntries(Object.entries(logged).filter(([name]) => name.startsWith("logps/")))
}

describe("nextToken", () => {
  for (const [name, of] of Object.entries(golden.next_token)) {
    it(`has PyTorch's loss and gradients: ${name}`, async () => {
      const trainable = await openTrainable(of.model)
      const gradient = new Float32Array(trainable.values.length)
      const { figures } = await withRunner(
        trainable,
        { plugin: nextToken },
        (runner) => runner.accumulate(batchOf(of.batch), gradient),
      )
      assertEquals(Object.keys(figures), ["loss"])
      assertClose(figures.loss, of.loss, "loss")
      assertTensors(namedGradient(trainable, gradient), of)
    })
  }
})

describe("armPreference", () => {
  for (const [name, of] of Object.entries(golden.arm_preference.cases)) {
    it(`has PyTorch's loss, metrics and gradients: ${name}`, async () => {
      const trainable = await openTrainable(of.model)
      const gradient = new Float32Array(trainable.values.length)
      const result = await withRunner(
        trainable,
        { plugin: armPreference, options: armOptions(of) },
        (runner) => runner.accumulate(pairBatchOf(pairs), gradient),
      )
      assertClose(result.figures.loss, of.loss, "loss")
      assertLogged(result, of)
      assertTensors(namedGradient(trainable, gradient), of)
    })
  }

  it("has the same loss without gradients, and on two threads", async () => {
    const of = golden.arm_preference.cases.plain
    const trainable = await openTrainable(of.model)
    const objective = { plugin: armPreference, options: armOptions(of) }
    const [evaluated, trained] = await withRunner(trainable, objective, async (runner) => [
      await runner.evaluate(pairBatchOf(pairs)),
      await runner.accumulate(pairBatchOf(pairs), new Float32Array(trainable.values.length)),
    ], 2)
    assertClose(evaluated.figures.loss, of.loss, "loss")
    assertEquals(trained.figures, evaluated.figures)
  })
})

function armOptions({ options: o }: GoldenPairCase) {
  const options = {
    beta: o.beta_r!,
    loss: o.loss_type!,
    lengthNormalization: o.length_normalization!,
    ...o.gamma! > 0 && { gamma: o.gamma! },
    ...o.label_smoothing! > 0 && { labelSmoothing: o.label_smoothing! },
  }
  return armPreference(options).options
}

describe("dpo", () => {
  for (const [name, of] of Object.entries(golden.dpo.cases)) {
    it(`has PyTorch's loss, metrics and gradients, its reference's likelihoods too: ${name}`, async () => {
      const { beta, label_smoothing: labelSmoothing } = of.options
      const objective = {
        plugin: dpo,
        options: dpo({ beta: beta!, labelSmoothing: labelSmoothing! }).options,
      }
      // The reference, as the golden file says, is the model with 0.05 sin(i + 1) added.
      const frozen = await openTrainable(of.model)
      for (const { data } of frozen.tensors()) {
        data.forEach((value, i) => data[i] = value + 0.05 * Math.sin(i + 1))
      }
      const { likelihoods: reference } = await withRunner(
        frozen,
        objective,
        (runner) => runner.evaluate(pairBatchOf(pairs)),
      )
      ;[...of.logged["reference_logps/chosen"], ...of.logged["reference_logps/rejected"]]
        .forEach((value, row) => assertClose(reference[row], value, `reference ${row}`))

      const trainable = await openTrainable(of.model)
      const gradient = new Float32Array(trainable.values.length)
      const result = await withRunner(
        trainable,
        objective,
        (runner) => runner.accumulate({ ...pairBatchOf(pairs), reference }, gradient),
      )
      assertClose(result.figures.loss, of.loss, "loss")
      assertLogged(result, of)
      assertTensors(namedGradient(trainable, gradient), of)
    })
  }

  it("begins at log 2, every reward 0, where the reference is the model itself", async () => {
    const trainable = await openTrainable("training_models/tied")
    const { figures } = await withRunner(trainable, { plugin: dpo }, async (runner) => {
      const { likelihoods } = await runner.evaluate(pairBatchOf(pairs))
      return runner.evaluate({ ...pairBatchOf(pairs), reference: likelihoods })
    })
    assertClose(figures.loss, Math.LN2, "loss")
    assertEquals([figures["rewards/chosen"], figures["rewards/accuracies"]], [0, 0])
  })
})

describe("low-rank adapters", () => {
  for (const [name, of] of Object.entries(golden.lora.cases)) {
    const { rank, alpha } = of
    const targets = of.targets as LinearModule[]
    const objective = { plugin: armPreference, options: armOptions(of) }

    it(`have PEFT's loss and gradients, and no other: ${name}`, async () => {
      const { config, values: base } = await openTrainable(of.model)
      const trainable = lowRankAdapter(config, base, { rank, alpha, targets }, 1)
      await readAdapter(trainable, of.adapter)
      const before = Float32Array.from(base)
      const gradient = new Float32Array(trainable.values.length)
      const result = await withRunner(
        trainable,
        objective,
        (runner) => runner.accumulate(pairBatchOf(pairs), gradient),
      )
      assertClose(result.figures.loss, of.loss, "loss")
      assertLogged(result, of)
      const named = namedGradient(trainable, gradient)
      assertTensors(named.map((tensor) => ({ ...tensor, name: peftName(tensor.name) })), of)
      assertEquals(base, before)
    })

    it(`begin as nothing: ${name}`, async () => {
      const { config, values: base } = await openTrainable(of.model)
      const trainable = lowRankAdapter(config, base, { rank, alpha, targets }, 1)
      const gradient = new Float32Array(trainable.values.length)
      const { figures } = await withRunner(
        trainable,
        objective,
        (runner) => runner.accumulate(pairBatchOf(pairs), gradient),
      )
      assertClose(figures.loss, golden.arm_preference.cases.plain.loss, "loss")
      // B is 0, so that only B has a gradient; A is drawn within PEFT's bound.
      for (const { name, shape, data } of trainable.tensors()) {
        const bound = name.includes("lora_A") ? 1 / Math.sqrt(shape[1]) : 0
        assert(data.every((value) => Math.abs(value) <= bound), name)
        assert(bound === 0 || data.some((value) => Math.abs(value) > bound / 2), name)
      }
      for (const { name, data } of namedGradient(trainable, gradient)) {
        assertEquals(data.some((value) => value !== 0), name.includes("lora_B"), name)
      }
    })
  }

  it("are drawn by seed", async () => {
    const { config, values } = await openTrainable("training_models/tied")
    const draw = (seed: number) =>
      lowRankAdapter(config, values, { rank: 2, alpha: 4, targets: ["q_proj"] }, seed).values
    assertEquals(draw(3), draw(3))
    assert(draw(3).some((value, i) => value !== draw(4)[i]))
  })
})

const peftName = (name: string) => `base_model.model.${name}`

/** Overwrites an adapter's factors with those of a folder as PEFT saves it. */
async function readAdapter(trainable: Trainable, folder: string): Promise<void> {
  const store = await openSafetensors(path(`${folder}/adapter_model.safetensors`))
  try {
    assertEquals(store.names.length, trainable.variables.length)
    for (const { name, shape, data } of trainable.tensors()) {
      assertEquals([...store.shape(peftName(name))], [...shape])
      await store.readInto(peftName(name), data, 0)
    }
  } finally {
    await store.close()
  }
}

describe("AdamW", () => {
  for (const [name, { model, settings, steps }] of Object.entries(golden.adamw)) {
    it(`takes PyTorch's steps, clipped: ${name}`, async () => {
      const trainable = await openTrainable(model)
      const batch = batchOf(golden.next_token[name].batch)
      const { betas, eps: epsilon, weight_decay: weightDecay } = settings
      const optimizer = new AdamW(trainable.variables, { betas, epsilon, weightDecay })
      await withRunner(trainable, { plugin: nextToken }, async (runner) => {
        for (const [i, expected] of steps.entries()) {
          const gradient = new Float32Array(trainable.values.length)
          const { figures } = await runner.accumulate(batch, gradient)
          assertClose(figures.loss, expected.loss_before, `loss before step ${i + 1}`)
          const norm = gradientNorm(gradient)
          assertClose(norm, expected.gradient_norm, `norm of step ${i + 1}`)
          const factor = Math.min(1, settings.max_norm / (norm + 1e-6))
          optimizer.step(gradient, i + 1, settings.lr, factor)
          const after = await runner.evaluate(batch)
          assertClose(after.figures.loss, expected.loss_after, `loss after step ${i + 1}`)
          const tensors = trainable.tensors()
          assertEquals(
            tensors.map((tensor) => tensor.name).toSorted(),
            Object.keys(expected.parameters).toSorted(),
          )
          for (const { name, data } of tensors) {
            assertSummary(`${name} after step ${i + 1}`, data, expected.parameters[name])
          }
        }
      })
    })
  }
})

describe("the learning rate", () => {
  const { warmup, total: steps, factors } = golden.schedules
  for (const schedule of ["linear", "cosine", "constant"] as const) {
    it(`has transformers' factors: ${schedule}`, () => {
      assertEquals(factors[schedule].length, steps + 1)
      factors[schedule].forEach((factor, step) => {
        const found = learningRateFactor(schedule, step, { warmup, steps })
        assert(Math.abs(found - factor) < 1e-7, `step ${step}: expected ${factor}, found ${found}`)
      })
    })
  }

  it("begins at its peak without a warm-up", () => {
    for (const schedule of ["linear", "cosine", "constant"] as const) {
      assertEquals(learningRateFactor(schedule, 0, { warmup: 0, steps: 10 }), 1)
    }
  })
})

describe("the training graph", () => {
  const folders = ["llama", "llama3", "llama_linear", "qwen2_yarn", "mistral", "qwen2", "qwen3"]
  for (const folder of folders) {
    it(`gives the likelihoods of transformers: ${folder}`, async () => {
      const { ids, logits_at: rows } = expected[folder]
      const positions = Object.keys(rows).map(Number).filter((at) => at + 1 < ids.length)
      assert(positions.length > 1)
      const laidOut = layOut(
        positions.map((at) => ({ ids, isScored: (index: number) => index === at + 1 })),
        ids.length - 1,
      )
      const { likelihoods } = await withRunner(
        await openTrainable(`models/${folder}`),
        { plugin: nextToken },
        (runner) => runner.evaluate({ ...laidOut, unit: 1 }),
      )
      positions.forEach((at, row) => {
        assertClose(likelihoods[row], logSoftmax(rows[at])[ids[at + 1]], `position ${at}`)
      })
    })
  }
})
