import { assert, assertEquals, assertRejects } from "@std/assert"
import { type ChildProcess, spawn } from "node:child_process"
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import process from "node:process"
import { describe, it } from "node:test"
import { fileURLToPath } from "node:url"
import {
  armPreference,
  dpo,
  GenArmError,
  type GenArmReason,
  nextToken,
  type TrainOptions,
  type TrainSpec,
} from "genarm"
import { negate, relu, scale, subtract, sum } from "genarm/onnx"
import { defineObjective } from "genarm/plugin"
import { randomStream } from "genarm/math"
import { altered, poisoned } from "../files/_altered.ts"
import { fixture } from "../_fixtures.ts"
import { valueHead } from "../_value_heads.ts"
import { killable } from "./_train_until_killed.ts"
import { base, interruptAt, pairs, run, texts, weightsOf, withOut } from "./_training.ts"

const learning = {
  base,
  objective: nextToken(),
  data: texts(20),
  heldOut: 0,
  batch: 2,
  tokens: 32,
  steps: 3,
} as const

const preferring = {
  base,
  objective: armPreference(),
  data: pairs(12),
  heldOut: 0,
  batch: 4,
  tokens: 64,
  steps: 3,
} as const

/** The error of a training that cannot be. */
async function failure(
  spec: unknown,
  message: string | readonly string[],
  options: TrainOptions = {},
): Promise<GenArmError> {
  const error = await assertRejects(() => run(spec as TrainSpec, options), GenArmError)
  for (const part of [message].flat()) {
    assert(error.message.includes(part), `expected "${part}" in: ${error.message}`)
  }
  return error
}

const reasonOf = async (...args: Parameters<typeof failure>): Promise<GenArmReason> =>
  (await failure(...args)).reason

describe("a wrong specification", () => {
  const option = (path: readonly (string | number)[]): GenArmReason => ({
    _tag: "InvalidOption",
    path,
  })
  const cases: readonly (readonly [
    what: string,
    change: Readonly<Record<string, unknown>>,
    path: readonly (string | number)[],
    message: string,
  ])[] = [
    ["an unknown key", { stepz: 3 }, ["stepz"], "Expected no key but base, adapter"],
    [
      "an unknown key inside",
      { optimizer: { rate: 1 } },
      ["optimizer", "rate"],
      "no key but learningRate",
    ],
    ["an unknown key inside what may be absent", { adapter: { r: 4 } }, [
      "adapter",
      "r",
    ], "Expected no key but rank, alpha, targets, found 4, at adapter.r"],
    ["no objective at all", { objective: undefined }, [
      "objective",
    ], "Missing key: expected a value, at objective"],
    ["no steps", { steps: undefined }, ["steps"], "either steps or epochs, found neither"],
    ["steps and epochs", { epochs: 1 }, ["steps"], "either steps or epochs, found both"],
    ["a batch beyond all memory", { batch: 1e9 }, ["batch"], "between 1 and 65536"],
    ["half a step", { steps: 1.5 }, ["steps"], "found 1.5"],
    ["a batch that is not divided", { accumulate: 3 }, ["accumulate"], "a divisor of the batch, 2"],
    ["a rate of 0", { optimizer: { learningRate: 0 } }, ["optimizer", "learningRate"], "found 0"],
    ["a rate that is no number", { optimizer: { learningRate: NaN } }, [
      "optimizer",
      "learningRate",
    ], "found NaN"],
    ["a base with an adapter", { base: { model: base, adapter: "x" } }, [
      "base",
      "adapter",
    ], "a base without an adapter"],
    ["a quantised base", { base: { model: base, weights: "q4" } }, [
      "base",
      "weights",
    ], 'found "q4": gradients need full weights'],
    ["no data", { data: 7 }, ["data"], "expected a path, { files } or examples"],
    ["no files", { data: { files: [] } }, ["data"], "expected a path"],
    ["files that are no paths", { data: { files: [3] } }, ["data"], "expected a path"],
    ["an option that no reader knows", { data: { files: ["x.txt"], format: "pairs" } }, [
      "data",
      "format",
    ], "found format"],
    ["a share of all", { heldOut: 1 }, ["heldOut"], "found 1"],
    ["held-out data of no kind", { heldOut: true }, ["heldOut"], "expected a share, a path"],
    ["an evaluation of nothing", { evaluate: { every: 2 } }, ["evaluate"], "nothing to evaluate"],
    ["prompts where there are none", { maxPromptTokens: 5 }, ["maxPromptTokens"], "no prompt"],
    ["a template where there is no prompt", { base: { model: base, template: "chat" } }, [
      "base",
      "template",
    ], "no prompt"],
    ["tokens above the context", { tokens: 129 }, ["tokens"], "the model's context of 128"],
    ["no objective", { objective: "armPreference" }, ["objective"], "such as armPreference("],
    [
      "an adapter on nothing",
      { adapter: { targets: [] } },
      ["adapter", "targets", 0],
      "at adapter.targets[0]",
    ],
    ["an adapter twice on the same", { adapter: { targets: ["q_proj", "q_proj"] } }, [
      "adapter",
      "targets",
    ], "every target once"],
    ["an adapter on what is none", { adapter: { targets: ["qproj"] } }, [
      "adapter",
      "targets",
      0,
    ], 'found "qproj"'],
    ["a dtype that is none", { dtype: "f16" }, ["dtype"], 'found "f16"'],
    ["a seed below 0", { seed: -1 }, ["seed"], "found -1"],
  ]
  for (const [what, change, path, message] of cases) {
    it(`is refused with the place: ${what}`, () =>
      withOut(async (out) => {
        const entries = Object.entries({ ...learning, out, ...change })
        const spec = Object.fromEntries(entries.filter(([, value]) => value !== undefined))
        assertEquals(await reasonOf(spec, message), option(path))
      }))
  }

  it("is refused for options of the call too", () =>
    withOut(async (out) => {
      const spec = { ...learning, out }
      for (
        const [options, key, message] of [
          [{ threads: 0 }, "threads", "a positive integer, found 0"],
          [{ resume: "yes" }, "resume", "true or false, found yes"],
          [{ signal: {} }, "signal", "an AbortSignal"],
          [{ onProgress: true }, "onProgress", "a function"],
          [{ thread: 1 }, "thread", "no option but threads, signal, onProgress and resume"],
        ] as const
      ) {
        assertEquals(await reasonOf(spec, message, options as TrainOptions), option([key]))
      }
      assert(!existsSync(out))
    }))

  it("is refused for plugins that are not there, or are something else", () =>
    withOut(async (out) => {
      const named = { plugin: "armPreferences", options: {} }
      assertEquals(await reasonOf({ ...learning, objective: named, out }, "known are"), {
        _tag: "UnknownPlugin",
        kind: "objective",
        name: "armPreferences",
        known: ["armPreference", "dpo", "nextToken"],
      })
      const beta = { plugin: "armPreference", options: { beta: -1 } }
      const reason = await reasonOf({ ...preferring, objective: beta, out }, "found -1")
      assertEquals(reason, option(["objective", "options", "beta"]))
    }))

  it("is refused for a base that is not there, or of another family", () =>
    withOut(async (out) => {
      const missing = await reasonOf({ ...learning, base: "./nowhere", out }, "there is no folder")
      assertEquals(missing._tag, "ModelNotFound")
      using gpt2 = altered("llama", { "config.json": '{"model_type": "gpt2"}' })
      const other = await reasonOf({ ...learning, base: gpt2.path, out }, 'found model_type "gpt2"')
      assertEquals(other, { _tag: "UnsupportedModel", model: gpt2.path })
      const reward = fixture(valueHead("reward"))
      const valued = await reasonOf(
        { ...learning, base: reward, out },
        "found the value head of Llama",
      )
      assertEquals(valued, { _tag: "UnsupportedModel", model: reward })
      const ready = { ...learning, base: fixture("onnx_export"), out }
      const exported = await reasonOf(ready, "an ONNX export has no weights that can be changed")
      assertEquals(exported._tag, "InvalidModelFile")
    }))

  it("is refused for ids that the base has no embedding of", () =>
    withOut(async (out) => {
      using base = altered("llama", {
        "tokenizer.json": readFileSync(join(fixture("extra_token"), "tokenizer.json")),
      })
      const spec = { ...learning, base: base.path, data: ["one <pad> two", ...texts(20)], out }
      const reason = await reasonOf(spec, ["the id 300", "300 embeddings"])
      assertEquals(reason, { _tag: "UnsupportedModel", model: base.path })
    }))
})

describe("the folder of a training", () => {
  it("is not the base's, and the base stays as it is", async () => {
    using copy = altered("llama", {})
    const before = readdirSync(copy.path)
    symlinkSync(copy.path, `${copy.path}-link`)
    for (const out of [copy.path, join(copy.path, "..", copy.path.split("/").at(-1)!)]) {
      for (const adapter of [undefined, { rank: 2 }]) {
        const spec = { ...learning, base: `${copy.path}-link`, out, ...adapter && { adapter } }
        const reason = await reasonOf(spec, "another folder than the base's own")
        assertEquals(reason, { _tag: "InvalidOption", path: ["out"] })
      }
    }
    assertEquals(readdirSync(copy.path), before)
    rmSync(`${copy.path}-link`)
  })

  it("must be one that can be written, which is known before the first step", () =>
    withOut(async (out) => {
      writeFileSync(out, "a file")
      const onProgress = () => {
        throw new Error("it took a step")
      }
      const reason = await reasonOf({ ...learning, out }, "is a file", { onProgress })
      assertEquals(reason, { _tag: "InvalidOption", path: ["out"] })
      const inside = await reasonOf({ ...learning, out: join(out, "x") }, "written", { onProgress })
      assertEquals(inside._tag, "WriteFailed")
    }))

  it("holds nothing of another's that would be replaced", () =>
    withOut(async (out) => {
      mkdirSync(out)
      writeFileSync(join(out, "notes.txt"), "mine")
      await run({ ...learning, out, steps: 1 })
      await run({ ...learning, out, steps: 1 }) // What a training wrote may be replaced by one.
      const other = `${out}-other`
      mkdirSync(other)
      writeFileSync(join(other, "README.md"), "mine")
      const reason = await reasonOf({ ...learning, out: other }, "has a README.md")
      assertEquals(reason, { _tag: "InvalidOption", path: ["out"] })
      assertEquals(readFileSync(join(other, "README.md"), "utf8"), "mine")
    }))

  it("holds a model or an adapter, not both", () =>
    withOut(async (out) => {
      await run({ ...learning, out, steps: 1 })
      const spec = { ...learning, out, adapter: { rank: 1 } }
      const reason = await reasonOf(spec, "has the config.json of a model")
      assertEquals(reason, { _tag: "InvalidOption", path: ["out"] })
      await run({ ...spec, out: `${out}-adapter`, steps: 1 })
      await reasonOf({ ...learning, out: `${out}-adapter` }, "adapter_config.json of an adapter")
      assertEquals(readdirSync(`${out}-adapter`).includes("training_probe"), false)
    }))
})

describe("data that teaches nothing", () => {
  it("is counted, dropped and told of", () =>
    withOut(async (out) => {
      const bad = [
        { prompt: "a", chosen: " b", rejected: " b" },
        { prompt: "a", chosen: " ", rejected: " b" },
        { prompt: "a", chosen: " b", rejected: "" },
      ]
      const { data } = await run({ ...preferring, data: [...pairs(12), ...bad], out })
      assertEquals([data.read, data.kept], [15, 12])
      assert(data.report!.includes("dropped 1: equal responses (pair 13)"), data.report)
      assert(data.report!.includes("dropped 2: empty response (pair 14, pair 15)"), data.report)
      const error = await failure({ ...preferring, data: bad, out }, [
        "none is left",
        "dropped 2: empty response",
      ])
      assert(error.reason._tag === "NoTrainingData")
      const report = error.reason.report as { pairs: number; kept: number }
      assertEquals([report.pairs, report.kept], [3, 0])
    }))

  it("is told of with what the reader of a file had dropped before", () =>
    withOut(async (out) => {
      const file = `${out}.jsonl`
      const row = (chosen: string, rejected: string) => JSON.stringify({ chosen, rejected })
      const talk = (answer: string) => `\n\nHuman: Hi.\n\nAssistant: ${answer}`
      writeFileSync(file, [row(talk("Hello."), talk("Go.")), row("a", "b")].join("\n"))
      const { data } = await run({ ...preferring, data: file, out })
      assertEquals([data.read, data.kept], [2, 1])
      assert(data.report!.includes("dropped 1: no common prompt (line 2)"), data.report)
      writeFileSync(file, row("a", "b"))
      const spec = { ...preferring, data: { files: [file], format: "hh-rlhf" }, heldOut: 0.5, out }
      assertEquals((await reasonOf(spec, "no common prompt"))._tag, "NoTrainingData")
    }))

  it("is too little of it", () =>
    withOut(async (out) => {
      for (const data of [[], ["a"], [{ text: "", complete: false }]]) {
        const reason = await reasonOf({ ...learning, data, out }, "more than 32 tokens")
        assertEquals(reason._tag, "NoTrainingData")
      }
      const nothing = await reasonOf({ ...preferring, data: [], out }, "kept 0 of 0 pairs")
      assertEquals(nothing._tag, "NoTrainingData")
      const one = { ...preferring, data: pairs(1), heldOut: 0.1, out }
      assertEquals(await reasonOf(one, "a share of 0"), {
        _tag: "InvalidOption",
        path: ["heldOut"],
      })
      const held = { ...preferring, heldOut: [{ prompt: "", chosen: "a", rejected: "a" }], out }
      assertEquals((await reasonOf(held, "held out: expected"))._tag, "NoTrainingData")
      const none = { ...preferring, heldOut: [], out }
      assertEquals((await reasonOf(none, "one pair to hold out"))._tag, "NoTrainingData")
      const silent = { ...learning, heldOut: [{ text: "", complete: false }], out }
      assertEquals((await reasonOf(silent, "two tokens or more"))._tag, "NoTrainingData")
    }))

  it("is of another kind than the objective asks for", () =>
    withOut(async (out) => {
      const kinds = [
        [{ ...preferring, data: texts(3) }, ["data", 0], "trained on pairs: expected { prompt"],
        [{ ...learning, data: [...texts(3), pairs(1)[0]] }, ["data", 3], "expected a text, or {"],
        [{ ...learning, heldOut: pairs(2) }, ["heldOut", 0], "at heldOut[0]"],
        [{ ...learning, data: [{ text: "no end said" }] }, ["data", 0], "{ text, complete }"],
        [{ ...preferring, data: [{ prompt: "", chosen: 3, rejected: "" }] }, ["data", 0], "found"],
        [{ ...preferring, data: [null] }, ["data", 0], "found null"],
      ] as const
      for (const [spec, path, message] of kinds) {
        const reason = await reasonOf({ ...spec, out }, message)
        assertEquals(reason, { _tag: "InvalidOption", path: [...path] })
      }
      const file = `${out}.jsonl`
      writeFileSync(file, JSON.stringify({ text: "a text" }))
      const reason = await reasonOf({ ...preferring, data: file, out }, file)
      assertEquals(reason._tag, "InvalidDataFile")
      writeFileSync(file, JSON.stringify(pairs(1)[0]))
      await failure({ ...learning, data: file, out }, [
        'has no "text"',
        "for an objective on pairs",
      ])
      const missing = await reasonOf({ ...learning, data: `${file}x`, out }, "cannot be read")
      assertEquals(missing, { _tag: "InvalidDataFile", file: `${file}x` })
    }))
})

describe("numbers that go wrong", () => {
  const wild = {
    ...learning,
    steps: 60,
    checkpointEvery: 1,
    warmup: 4,
    schedule: "constant",
  } as const

  it("stop a training that diverges, with the figures, and the checkpoint before stays", () =>
    withOut(async (out) => {
      const spec = { ...wild, optimizer: { learningRate: 1e3 }, out }
      const error = await failure(spec, ["the training diverged at step", "Lower the learning"])
      assert(error.reason._tag === "TrainingDiverged")
      const { step, loss, gradientNorm, learningRate } = error.reason
      assert(step > 0 && step < 20, `${step}`)
      assert(loss > 100, `${loss}`)
      assertEquals(typeof gradientNorm, "number")
      assert(learningRate > 0 && learningRate <= 1e3)
      assert(!existsSync(join(out, "model.safetensors")))
      // The first step is taken at a rate of 0, and the second throws the model away.
      assert(error.message.includes(`${out} keeps the checkpoint of step 1`), error.message)
      const calmer = { ...spec, optimizer: { learningRate: 1e-3 } }
      const other = await failure(calmer, ["differs in optimizer", "pass { resume: false }"])
      assertEquals(other.reason, {
        _tag: "CheckpointMismatch",
        file: join(out, "checkpoint.safetensors"),
        differing: ["optimizer"],
      })
      // Going on repeats what happened; beginning anew with a lower rate does not.
      assertEquals((await failure(spec, "diverged")).reason, error.reason)
      await run({ ...spec, optimizer: { learningRate: 1e-3 }, steps: 3 }, { resume: false })
      assert(existsSync(join(out, "model.safetensors")))
    }))

  it("stop one that diverges at once, without a warm-up", () =>
    withOut(async (out) => {
      for (const learningRate of [1e1, 1e3, 1e30]) {
        const spec = {
          ...wild,
          warmup: 0,
          optimizer: { learningRate },
          out: `${out}${learningRate}`,
        }
        const error = await failure(spec, "diverged at step")
        assert(error.reason._tag === "TrainingDiverged")
        assert(error.reason.step > 0 && error.reason.step < 20, `${error.reason.step}`)
      }
    }))

  it("stop one whose last step was one too many", () =>
    withOut(async (out) => {
      const optimizer = { learningRate: 1e39 } // beyond float32
      const spec = { ...wild, warmup: 0, steps: 1, optimizer, heldOut: texts(3, 9), out }
      const error = await failure(spec, "diverged at step 1: held-out loss NaN")
      assertEquals(error.reason._tag, "TrainingDiverged")
      const unseen = { ...spec, heldOut: 0, out: `${out}2` }
      const blind = await failure(unseen, "diverged at step 1: weights are no numbers")
      assertEquals(blind.reason._tag, "TrainingDiverged")
      assert(!existsSync(join(`${out}2`, "model.safetensors")))
    }))

  it("are no alarm where a loss begins at 0 and a hard example comes late", () =>
    withOut(async (out) => {
      // Nothing for responses of up to 50 nats.
      const short = defineObjective({
        name: "short",
        data: "pairs",
        loss: (_, { chosen, mean }) => {
          const nats = negate(sum(chosen.logProbs, [1]))
          return { loss: mean(scale(relu(subtract(nats, nats.tape.scalar(50))), 0.1)) }
        },
      })
      const easy = pairs(11).map(({ prompt }) => ({ prompt, chosen: "a", rejected: "b" }))
      const hard = { prompt: "a", chosen: "a long one, longer than all the others.", rejected: "b" }
      const spec = { ...preferring, objective: short(), data: [...easy, hard], batch: 1, steps: 12 }
      const optimizer = { learningRate: 1e-6 }
      const { log } = await run({ ...spec, optimizer, logEvery: 1, seed: 2, out })
      const losses = log.map((entry) => "train" in entry ? entry.train.loss : NaN)
      assertEquals(losses.slice(0, 10), new Array(10).fill(0))
      assert(Math.max(...losses) > 10, `${losses}`)
    }))

  it("stop it before the first step where they are the base's", () =>
    withOut(async (out) => {
      // BOS, with which every text begins.
      using damaged = poisoned("llama", 1)
      const error = await failure({ ...learning, base: damaged.path, out }, [
        "diverged at step 0",
        "the base's weights are damaged",
      ])
      assert(error.reason._tag === "TrainingDiverged" && error.reason.step === 0)
      const evaluated = { ...learning, base: damaged.path, heldOut: texts(2, 9), out }
      await failure(evaluated, ["step 0: held-out loss NaN", "the base's weights are damaged"])
      const referred = { ...preferring, objective: dpo(), base: damaged.path, out }
      await failure(referred, ["diverged at step 0", "the base's weights are damaged"])
    }))

  it("of an objective of one's own are told as its own", () =>
    withOut(async (out) => {
      const broken = (loss: (batch: unknown) => never) =>
        defineObjective({ name: "broken", data: "texts", loss: (_, batch) => loss(batch) })()
      const objectives = [
        [() => {
          throw new Error("of its own")
        }, "of its own"],
        [(batch: { logProbs: unknown }) => ({ loss: batch.logProbs }), "expected a mean of the"],
        [() => ({}), 'the objective "broken" failed'],
      ] as const
      for (const [loss, message] of objectives) {
        const spec = { ...learning, objective: broken(loss as never), out }
        assertEquals(await reasonOf(spec, message), { _tag: "PluginFailed", plugin: "broken" })
      }
    }))
})

describe("a checkpoint", () => {
  const spec = { ...learning, steps: 6, checkpointEvery: 2 } as const
  const path = (out: string) => join(out, "checkpoint.safetensors")

  it("is of one training only: what differs is named", () =>
    withOut(async (out) => {
      await interruptAt(3, { ...spec, out })
      const cases = [
        [{ ...spec, seed: 3 }, ["seed"], "expected seed 3, found 0"],
        [{ ...spec, data: texts(21) }, ["examples", "digest"], "expected examples 21, found 20"],
        [{ ...spec, steps: 7 }, ["steps"], "expected steps 7, found 6"],
        [{ ...spec, base: fixture("mistral") }, ["architecture", "base"], "expected architecture"],
        [{ ...spec, adapter: { rank: 1 } }, ["adapter"], 'expected adapter {"rank":1'],
        [{ ...spec, heldOut: texts(2) }, ["heldOut"], "expected heldOut"],
      ] as const
      for (const [changed, differing, message] of cases) {
        const error = await failure({ ...changed, out }, ["belongs to another training", message])
        assertEquals(error.reason, {
          _tag: "CheckpointMismatch",
          file: path(out),
          differing: [...differing],
        })
      }
      const { steps } = await run({ ...spec, out })
      assertEquals(steps, 6)
    }))

  it("of an adapter is of one base only", () =>
    withOut(async (out) => {
      const adapted = { ...spec, adapter: { rank: 1 }, out }
      await interruptAt(3, adapted)
      using twin = altered("llama", {})
      await run({ ...spec, steps: 1, warmup: 0, out: join(twin.path, "trained") })
      const error = await failure(
        { ...adapted, base: join(twin.path, "trained") },
        "differs in base",
      )
      assertEquals(error.reason._tag, "CheckpointMismatch")
      // The same weights in another place are the same base.
      assertEquals((await run({ ...adapted, base: twin.path })).steps, 6)
    }))

  it("that is damaged is a typed error that names it", () =>
    withOut(async (out) => {
      await interruptAt(3, { ...spec, out })
      const whole = readFileSync(path(out))
      const faults: readonly (readonly [Uint8Array, string])[] = [
        [whole.subarray(0, whole.length - 100), "truncated"],
        [whole.subarray(0, 6), "too short"],
        [new Uint8Array(0), "too short"],
        [whole.subarray(0, 1000), "declares a header of"],
        [new TextEncoder().encode("garbage, and more of it than eight bytes"), "declares a header"],
        [readFileSync(join(base, "model.safetensors")), "is not a checkpoint of a training"],
      ]
      for (const [bytes, message] of faults) {
        writeFileSync(path(out), bytes)
        const reason = await reasonOf({ ...spec, out }, [path(out), message])
        assertEquals(reason, { _tag: "InvalidModelFile", file: path(out) })
      }
      assertEquals((await run({ ...spec, out }, { resume: false })).steps, 6)
    }))

  it("whose log is cut or gone is enough to go on", () =>
    withOut(async (out) => {
      await interruptAt(5, { ...spec, logEvery: 1, out })
      const log = join(out, "training_log.jsonl")
      const lines = readFileSync(log, "utf8").trim().split("\n")
      assert(lines.length >= 5)
      writeFileSync(log, [...lines.slice(0, 2), "null", "{}", "7", lines[2].slice(0, 9)].join("\n"))
      const { log: entries } = await run({ ...spec, logEvery: 1, out })
      assertEquals(entries.map(({ step }) => step), [1, 2, 5, 6])
    }))

  it("that the disk has no room for ends the training, and the one before stays", () =>
    withOut(async (out) => {
      await run({ ...killable, out: `${out}-whole` })
      await interruptAt(3, { ...killable, out })
      const before = readFileSync(path(out))
      // Files of 100 KiB at most: the log fits, a checkpoint does not.
      const said = await trainBeside(out, [
        "sh",
        "-c",
        'trap "" XFSZ; ulimit -f 200; exec "$@"',
        "sh",
      ])
        .ended
      const reason = said.trim().split("\n").at(-1)!
      assertEquals(JSON.parse(reason), { _tag: "WriteFailed", file: path(out) })
      assertEquals(readFileSync(path(out)), before)
      await run({ ...killable, out })
      assertEquals(weightsOf(out), weightsOf(`${out}-whole`))
    }))

  it("of the last step is enough where the model could not be written", () =>
    withOut(async (out) => {
      const model = join(out, "model.safetensors")
      const reason = await reasonOf({ ...spec, out }, "could not be written", {
        onProgress: (progress) => {
          // No file replaces a folder.
          if (progress.stage === "train" && progress.step === 6) mkdirSync(model)
        },
      })
      assertEquals(reason, { _tag: "WriteFailed", file: model })
      rmSync(model, { recursive: true })
      const { steps } = await run({ ...spec, out }, {
        onProgress: () => {
          throw new Error("it took a step")
        },
      })
      assertEquals(steps, 6)
      await run({ ...spec, out: `${out}-whole` })
      assertEquals(weightsOf(out), weightsOf(`${out}-whole`))
    }))

  it("whose folder is gone is a typed error", () =>
    withOut(async (out) => {
      let bytes: Uint8Array | undefined
      const reason = await reasonOf({ ...spec, out }, "could not be written", {
        onProgress: (progress) => {
          if (progress.stage !== "train") return
          if (progress.step < 3) return
          bytes = readFileSync(path(out))
          moveAway(out)
        },
      })
      assertEquals(reason, { _tag: "WriteFailed", file: join(out, "training_log.jsonl") })
      assertEquals(readFileSync(join(`${out}-moved`, "checkpoint.safetensors")), bytes)
    }))
})

/** Puts a file where a folder was. */
function moveAway(folder: string): void {
  const moved = `${folder}-moved`
  mkdirSync(moved)
  for (const name of readdirSync(folder)) copyFileSync(join(folder, name), join(moved, name))
  rmSync(folder, { recursive: true })
  writeFileSync(folder, "")
}

describe("a training that is ended from outside", () => {
  it("by its signal is an Aborted with the reason, wherever it is", () =>
    withOut(async (out) => {
      const stop = new AbortController()
      stop.abort(new Error("not today"))
      const before = await failure({ ...learning, out }, "aborted: not today", {
        signal: stop.signal,
      })
      assertEquals(before.reason, { _tag: "Aborted", cause: stop.signal.reason })
      // While the data is read.
      const reading = new AbortController()
      const data = (async function* () {
        for (const text of texts(20)) {
          reading.abort("enough read")
          yield await Promise.resolve(text)
        }
      })()
      const error = await failure({ ...learning, data, out }, "enough read", {
        signal: reading.signal,
      })
      assertEquals(error.reason._tag, "Aborted")
      assert(!existsSync(join(out, "model.safetensors")))
    }))

  it("by a kill at any moment goes on, and gives what it would have given", () =>
    withOut(async (out) => {
      await run({ ...killable, out: `${out}-whole` })
      const random = randomStream(31)
      let kills = 0
      let furthest = 0
      for (let round = 0; round < 5; round++) {
        const reached = await killAfter(
          out,
          1 + Math.floor(5 * random.nextUniform()),
          () => new Promise((later) => setTimeout(later, 20 * random.nextUniform())),
        )
        if (reached === undefined) break
        kills++
        // A step leaves its checkpoint while the next is taken.
        assert(reached.first >= furthest, `began at ${reached.first} after ${furthest}`)
        furthest = reached.last
      }
      assert(kills >= 3, `${kills}`)
      const result = await run({ ...killable, out })
      assertEquals(result.steps, 24)
      assertEquals(weightsOf(out), weightsOf(`${out}-whole`))
      const names = (folder: string) =>
        readdirSync(folder).filter((name) => !name.endsWith(".writing")).sort()
      assertEquals(names(out), names(`${out}-whole`))
    }))
})

/** Trains in a process of its own, which says its steps and how it failed. */
function trainBeside(out: string, shell: readonly string[] = []): {
  readonly child: ChildProcess
  readonly said: () => string
  readonly ended: Promise<string>
} {
  const flags = "Deno" in globalThis ? ["run", "--allow-all", "--no-check"] : []
  const script = fileURLToPath(new URL("./_train_until_killed.ts", import.meta.url))
  const [command, ...args] = [...shell, process.execPath, ...flags, script, out]
  const child = spawn(command, args, {
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
    stdio: ["ignore", "pipe", "inherit"],
  })
  let said = ""
  child.stdout.on("data", (bytes: Uint8Array) => said += new TextDecoder().decode(bytes))
  const ended = new Promise<string>((done) => child.on("close", () => done(said)))
  return { child, said: () => said, ended }
}

/** The first and last step of a training that is killed some steps after it began. */
async function killAfter(
  out: string,
  steps: number,
  wait: () => Promise<unknown>,
): Promise<{ first: number; last: number } | undefined> {
  const { child, said, ended } = trainBeside(out)
  const reached = new Promise<void>((done) => {
    child.stdout!.on("data", () => said().split("\n").length > steps && done())
  })
  await Promise.race([reached, ended])
  await wait()
  child.kill("SIGKILL")
  const numbers = (await ended).trim().split("\n").map(Number)
  return child.signalCode === null ? undefined : { first: numbers[0], last: numbers.at(-1)! }
}
