import { assert, assertAlmostEquals, assertEquals, assertInstanceOf } from "@std/assert"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { describe, it } from "node:test"
import {
  arm,
  armPreference,
  dpo,
  GenArmError,
  nextToken,
  openPipeline,
  type TrainingEntry,
  type TrainSpec,
} from "genarm"
import { defineObjective } from "genarm/plugin"
import { negate, scale, sum } from "genarm/onnx"
import type { LogEntry } from "genarm/train"
import { openModelFolder, openTensors } from "../../src/files/model_folder.ts"
import { openTokenizer } from "../../src/files/tokenizer.ts"
import { readLlamaConfig } from "../../src/llama/config.ts"
import { readParameters } from "../../src/llama/weights.ts"
import { layOut } from "../../src/train/batch.ts"
import { StepRunner } from "../../src/train/step_runner.ts"
import { fullWeights } from "../../src/train/trainable.ts"
import { base, interruptAt, pairs, run, texts, weightsOf, withOut } from "./_training.ts"

const learning = {
  base,
  objective: nextToken(),
  data: texts(40),
  heldOut: texts(10, 7),
  batch: 4,
  tokens: 32,
  optimizer: { learningRate: 1e-2 },
} as const

const preferring = {
  base,
  objective: armPreference({ beta: 0.2 }),
  data: pairs(48),
  heldOut: 0.25,
  batch: 8,
  tokens: 64,
  steps: 12,
  optimizer: { learningRate: 1e-2 },
} as const

const isEvaluation = (entry: LogEntry) => "heldOut" in entry
const isStep = (entry: LogEntry): entry is TrainingEntry => "train" in entry

/** The log without what no two runs share. */
const withoutTimes = (log: readonly LogEntry[]) =>
  log.map((entry) => isStep(entry) ? { ...entry, seconds: 0 } : entry)

const logOf = (out: string): LogEntry[] =>
  readFileSync(join(out, "training_log.jsonl"), "utf8").trim().split("\n").map((l) => JSON.parse(l))

/** The trainer's log-probability of ids after a prompt, in a folder that was written. */
async function trainersLikelihood(folder: string, prompt: number[], rest: number[]) {
  const config = readLlamaConfig((await openModelFolder(folder)).config, folder)
  const store = await openTensors(folder)
  const weights = await readParameters(config, store, { model: folder })
  await store.close()
  const runner = new StepRunner(fullWeights(config, weights), nextToken.definition, {}, 1)
  const row = { ids: [...prompt, ...rest], isScored: (i: number) => i >= prompt.length }
  const { likelihoods } = await runner.evaluate({ ...layOut([row], 64), unit: 1 / rest.length })
  await runner.close()
  return likelihoods[0]
}

describe("training on texts", () => {
  it("lowers their loss and that of held-out ones, and writes a model that opens", () =>
    withOut(async (out) => {
      const seen: number[] = []
      const result = await run({ ...learning, out, steps: 25, logEvery: 5 }, {
        onProgress: (progress) => {
          if (progress.stage === "train") seen.push(progress.step)
        },
      })
      assertEquals(result.steps, 25)
      assertEquals(seen, Array.from({ length: 25 }, (_, i) => i + 1))
      assert(result.heldOut.loss < 0.7 * result.before.loss, `${result.heldOut.loss}`)
      const steps = result.log.filter(isStep)
      assertEquals(steps.map(({ step }) => step), [5, 10, 15, 20, 25])
      assert(steps[4].train.loss < steps[0].train.loss)
      assertEquals(result.log.filter(isEvaluation).map(({ step }) => step), [0, 25])
      assertEquals(logOf(out), [...result.log])
      assertEquals(result.tokens, 25 * 4 * 32)
      assert(!existsSync(join(out, "checkpoint.safetensors")))
      assert(readFileSync(join(out, "README.md"), "utf8").includes("nextToken"))

      await using pipeline = await openPipeline({ base: out })
      const tokenizer = await openTokenizer(out)
      const prompt = tokenizer.encode("The cat sees")
      const rest = [...tokenizer.encodeContinuation(" a red ball."), tokenizer.eos!]
      const score = await pipeline.score(prompt, rest)
      const sum = score.tokens.reduce((total, { logprob }) => total + logprob.base, 0)
      const expected = await trainersLikelihood(out, prompt, rest)
      assertAlmostEquals(sum, expected, 1e-4)
      // It has learnt how its texts end.
      const text = await pipeline.generate("The cat sees", { maxTokens: 30, seed: 1 })
      assert(text.text.length > 0)
    }))

  it("takes them as files, several of them, an array, or a generator", () =>
    withOut(async (out) => {
      const file = (name: string, from: string[]) => {
        const path = `${out}-${name}`
        writeFileSync(path, from.map((text) => JSON.stringify({ text })).join("\n"))
        return path
      }
      const all = texts(24)
      const whole = file("all.jsonl", all)
      const forms: TrainSpec["data"][] = [
        all,
        whole,
        { files: [file("a.jsonl", all.slice(0, 10)), file("b.jsonl", all.slice(10))] },
        (async function* () {
          for (const text of all) yield await Promise.resolve({ text, complete: true })
        })(),
      ]
      const weights: unknown[] = []
      for (const data of forms) {
        const folder = `${out}-${weights.length}`
        const { data: record } = await run({
          ...learning,
          data,
          heldOut: 0,
          steps: 2,
          out: folder,
        })
        assertEquals([record.read, record.kept, record.heldOut], [24, 24, 0])
        weights.push(weightsOf(folder))
      }
      for (const other of weights.slice(1)) assertEquals(other, weights[0])
      assertEquals(dirname(whole), dirname(out))
    }))

  it("counts its steps by passes over the data where asked", () =>
    withOut(async (out) => {
      const epochs = { ...learning, heldOut: 0, epochs: 2 }
      const two = await run({ ...epochs, out })
      const one = await run({ ...epochs, epochs: 1, out })
      assert(two.steps > 2 && Math.abs(two.steps - 2 * one.steps) <= 1, `${two.steps}`)
      assertEquals(two.before, {})
      assertEquals(two.heldOut, {})
    }))

  it("holds out a share, other data, or none", () =>
    withOut(async (out) => {
      const common = { ...learning, steps: 1, out }
      const share = await run({ ...common, heldOut: 0.2 })
      assertEquals([share.data.read, share.data.kept! + share.data.heldOut!], [40, 40])
      assert(share.data.heldOut! > 2 && share.data.heldOut! < 14, `${share.data.heldOut}`)
      const other = await run({ ...common, heldOut: texts(5, 9) })
      assertEquals([other.data.kept, other.data.heldOut], [40, 5])
      const none = await run({ ...common, heldOut: 0 })
      assertEquals(none.log.filter(isEvaluation), [])
    }))
})

describe("training on preferences", () => {
  it("raises the held-out accuracy, with all weights", () =>
    withOut(async (out) => {
      const result = await run({ ...preferring, out })
      assert(result.heldOut["rewards/accuracies"] >= 0.9, JSON.stringify(result.heldOut))
      assert(result.heldOut["rewards/accuracies"] > result.before["rewards/accuracies"])
      assert(result.heldOut["rewards/margins"] > result.before["rewards/margins"] + 0.1)
      await using pipeline = await openPipeline({
        base,
        rewards: { glad: { reward: arm({ model: out }), weight: 1 } },
      })
      const reward = async (text: string) =>
        (await pipeline.score("77. The cat sees the sun", text)).tokens
          .reduce((sum, { rewards }) => sum + rewards.glad, 0)
      assert(await reward(" and is glad.") > await reward(" and is sad."))
    }))

  it("raises it with an adapter, which runs on its base", () =>
    withOut(async (out) => {
      const result = await run({
        ...preferring,
        out,
        adapter: { rank: 4 },
        accumulate: 2,
        steps: 24,
        optimizer: { learningRate: 3e-2 },
      })
      assert(result.heldOut["rewards/accuracies"] >= 0.9, JSON.stringify(result.heldOut))
      assert(result.heldOut["rewards/accuracies"] > result.before["rewards/accuracies"])
      assertEquals(result.parameters, 2 * 3 * 2 * 4 * 32)
      const { peft_type, r, lora_alpha, target_modules } = JSON.parse(
        readFileSync(join(out, "adapter_config.json"), "utf8"),
      )
      assertEquals([peft_type, r, lora_alpha], ["LORA", 4, 8])
      assertEquals(target_modules, ["q_proj", "k_proj", "v_proj"])

      await using pipeline = await openPipeline({
        base,
        rewards: { glad: { reward: arm({ adapter: out }), weight: 1 } },
      })
      // The figures of the held-out pairs again, from the engine.
      const tokenizer = await openTokenizer(base)
      const { splitHeldOut } = await import("genarm/train")
      const { heldOut } = splitHeldOut(pairs(48), 0.25, 0)
      const logps = { chosen: 0, rejected: 0 }
      for (const pair of heldOut) {
        for (const side of ["chosen", "rejected"] as const) {
          const ids = [...tokenizer.encodeContinuation(pair[side]), tokenizer.eos!]
          const { tokens } = await pipeline.score(tokenizer.encode(pair.prompt as string), ids)
          logps[side] += tokens.reduce((sum, { rewards }) => sum + rewards.glad, 0) / heldOut.length
        }
      }
      assertAlmostEquals(logps.chosen, result.heldOut["logps/chosen"], 1e-3)
      assertAlmostEquals(logps.rejected, result.heldOut["logps/rejected"], 1e-3)
    }))

  it("holds a policy to its reference by dpo", () =>
    withOut(async (out) => {
      const result = await run({ ...preferring, objective: dpo({ beta: 0.2 }), out })
      // Before the first step the policy is its reference.
      assertAlmostEquals(result.before.loss, Math.log(2), 1e-6)
      assertAlmostEquals(result.before["rewards/margins"], 0, 1e-5)
      assert(result.heldOut.loss < 0.6, `${result.heldOut.loss}`)
      assert(result.heldOut["rewards/accuracies"] >= 0.9)
    }))

  it("takes an objective of one's own", () =>
    withOut(async (out) => {
      // Less of what was rejected, and nothing else.
      const unlearn = defineObjective({
        name: "unlearn",
        data: "pairs",
        loss: (_, { rejected, mean }) => ({
          loss: mean(scale(sum(rejected.logProbs, [1]), 0.1)),
          metrics: { surprise: mean(negate(sum(rejected.logProbs, [1]))) },
        }),
      })
      const result = await run({ ...preferring, objective: unlearn(), steps: 6, out })
      assert(result.heldOut.surprise > result.before.surprise + 1)
      assertAlmostEquals(result.heldOut.loss, -0.1 * result.heldOut.surprise, 1e-4)
    }))
})

describe("the same training twice", () => {
  it("gives the same weights bit for bit, and another seed others", () =>
    withOut(async (out) => {
      const specs = [
        { ...preferring, adapter: { rank: 2 }, steps: 4 },
        { ...preferring, steps: 4 },
      ]
      for (const [i, spec] of specs.entries()) {
        const file = i === 0 ? "adapter_model.safetensors" : "model.safetensors"
        const found: unknown[] = []
        for (const seed of [5, 5, 6]) {
          const folder = `${out}-${i}-${found.length}`
          await run({ ...spec, seed, out: folder })
          found.push(weightsOf(folder, file))
        }
        assertEquals(found[0], found[1])
        assert(JSON.stringify(found[0]) !== JSON.stringify(found[2]))
      }
    }))
})

describe("a training that was stopped", () => {
  /** Compares an uninterrupted training with one that is stopped after these steps. */
  async function compare(spec: Omit<TrainSpec, "out">, stops: readonly number[], out: string) {
    const whole = await run({ ...spec, out: `${out}-whole` })
    for (const step of stops) {
      const error = await interruptAt(step, { ...spec, out })
      assertInstanceOf(error, GenArmError)
      assertEquals(error.reason._tag, "Aborted")
      assertEquals((error.cause as Error).message, "enough")
    }
    const seen: number[] = []
    const resumed = await run({ ...spec, out }, {
      onProgress: (p) => p.stage === "train" && seen.push(p.step),
    })
    assertEquals(weightsOf(out), weightsOf(`${out}-whole`))
    assertEquals(withoutTimes(resumed.log), withoutTimes(whole.log))
    assertEquals(withoutTimes(logOf(out)), withoutTimes(whole.log))
    assertEquals(resumed.heldOut, whole.heldOut)
    assertEquals(resumed.before, whole.before)
    assertEquals([resumed.steps, resumed.tokens], [whole.steps, whole.tokens])
    assertEquals(resumed.stoppedEarly, whole.stoppedEarly)
    return { seen, whole }
  }

  it("goes on from its checkpoint, and ends as if it had never been", () =>
    withOut(async (out) => {
      const spec = {
        ...learning,
        steps: 11,
        logEvery: 2,
        checkpointEvery: 3,
        evaluate: { every: 4 },
      }
      const { seen } = await compare(spec, [2, 4, 7], out)
      assertEquals(seen, [7, 8, 9, 10, 11])
    }))

  it("does so on preferences, with a reference, in several parts and passes", () =>
    withOut(async (out) => {
      const spec = {
        ...preferring,
        objective: dpo(),
        batch: 16,
        accumulate: 2,
        steps: 7,
        checkpointEvery: 2,
        evaluate: { every: 3 },
      }
      await compare(spec, [5], out)
    }))

  it("keeps the best weights of an early stop", () =>
    withOut(async (out) => {
      const spec = {
        ...learning,
        // Texts of their own, so that the held-out loss soon rises again.
        data: texts(8, 3),
        heldOut: texts(10, 7).map((text) => text.toUpperCase()),
        steps: 60,
        optimizer: { learningRate: 1e-2, weightDecay: 0 },
        schedule: "constant",
        checkpointEvery: 2,
        evaluate: { every: 1, patience: 3 },
      } as const
      const { whole } = await compare(spec, [3], out)
      const evaluations = whole.log.filter((entry) => "heldOut" in entry)
      const losses = evaluations.map(({ heldOut }) => heldOut.loss)
      const best = losses.indexOf(Math.min(...losses))
      assert(whole.stoppedEarly && whole.steps === best + 3 && whole.steps < 60)
      assertEquals(whole.heldOut, evaluations[best].heldOut)
      // What was written is the model of the best step.
      const again = await run({
        ...spec,
        base: `${out}-whole`,
        out: `${out}-again`,
        steps: 1,
        evaluate: { every: 1 },
      })
      assertEquals(again.before, whole.heldOut)
    }))

  it("begins anew where asked, and leaves no old checkpoint to go on from", () =>
    withOut(async (out) => {
      const spec = { ...learning, steps: 6, checkpointEvery: 2, out }
      await interruptAt(4, spec)
      assert(existsSync(join(out, "checkpoint.safetensors")))
      const stop = new AbortController()
      const seen: number[] = []
      const anew = run(spec, {
        resume: false,
        signal: stop.signal,
        onProgress: (progress) => {
          if (progress.stage === "train" && seen.push(progress.step) === 1) stop.abort()
        },
      })
      await anew.catch(() => {})
      assertEquals(seen, [1])
      assert(!existsSync(join(out, "checkpoint.safetensors")))
    }))
})
