import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert"
import { defineGraph, GenArmError, logitBias } from "genarm"
import { describe, it } from "node:test"
import { gated, type GatedOptions } from "../../plugins/schedules/gated.ts"
import {
  type GatePair,
  trainGate,
  type TrainGateOptions,
} from "../../plugins/schedules/train_gate.ts"
import { uniforms } from "../math/_reference.ts"
import { always, open, watch } from "../decode/_pipelines.ts"

const subjects = [..."abcdefgh"]

/** Preferences that follow "exact" where a prompt says prove, and "kind" where it says comfort. */
function preferences(count: number, seed: number): GatePair[] {
  const next = uniforms(seed)
  const pick = (words: readonly string[]) => words[Math.floor(next() * words.length)]
  return Array.from({ length: count }, () => {
    const isExact = next() < 0.5
    const [a, b] = [{ exact: next(), kind: next() }, { exact: next(), kind: next() }]
    const isFirst = isExact ? a.exact > b.exact : a.kind > b.kind
    const prompt = `Please ${isExact ? "prove" : "comfort"} ${pick(subjects)} ${pick(subjects)}.`
    return { prompt, chosen: isFirst ? a : b, rejected: isFirst ? b : a }
  })
}

/** The weight that a gate gives a term for a prompt of words, each of which is a token. */
async function weightFor(prompt: string, options: GatedOptions): Promise<number> {
  const vocabulary = ["Please", "prove", "comfort", " ", "me", "sing"]
  const models = watch({ base: { vocabulary, next: always(1, 1, 1, 1, 1, 1) } })
  await using pipeline = await open(models, {
    rewards: { x: { reward: logitBias({ bias: {} }), weight: gated(options) } },
  })
  const { tokens } = await pipeline.generate(prompt, { maxTokens: 3, seed: 1 })
  const weights = new Set(tokens.map(({ weights }) => weights.x))
  assertEquals(weights.size, 1)
  return [...weights][0]
}

describe("trainGate", () => {
  const gate = trainGate(preferences(300, 1), { buckets: 64 })

  it("learns which reward people follow at which prompts", async () => {
    assertEquals([gate.terms, gate.buckets, gate.weights.length], [["exact", "kind"], 64, 2])
    const exact = await weightFor("Please prove me", { gate, term: "exact" })
    const kind = await weightFor("Please comfort me", { gate, term: "kind" })
    assert(exact > 0.8 && kind > 0.8, `${exact}, ${kind}`)
    const both = [exact, await weightFor("Please prove me", { gate, term: "kind" })]
    assertAlmostEquals(both[0] + both[1], 1, 1e-12)
  })

  it("tells held-out preferences better than equal shares do", async () => {
    const held = preferences(40, 2)
    const right = async (shareOf: (prompt: string) => Promise<number>) => {
      let count = 0
      for (const { prompt, chosen, rejected } of held) {
        const share = await shareOf(prompt)
        const value = ({ exact, kind }: Readonly<Record<string, number>>) =>
          share * exact + (1 - share) * kind
        if (value(chosen) > value(rejected)) count++
      }
      return count / held.length
    }
    const words = (prompt: string) => prompt.includes("prove") ? "Please prove" : "Please comfort"
    const gated = await right((prompt) => weightFor(words(prompt), { gate, term: "exact" }))
    const even = await right(() => Promise.resolve(0.5))
    assert(gated > 0.9 && gated > even + 0.05, `${gated} against ${even}`)
  })

  it("goes down the slope of the loss that it states", () => {
    // One pair, one word: two weights a term, and the first step of Adam is the sign of the slope.
    const pair = { prompt: "x", chosen: { a: 2, b: 0 }, rejected: { a: 0, b: 1 } }
    const { weights } = trainGate([pair], { buckets: 1, steps: 1, rate: 0.01, decay: 0 })
    for (const [i, sign] of [[0, 1], [1, -1]]) {
      for (const weight of weights[i]) assertAlmostEquals(weight, sign * 0.01, 1e-6)
    }
  })

  it("leaves equal shares where nothing tells the rewards apart", () => {
    const pair = { prompt: "x", chosen: { a: 2, b: 2 }, rejected: { a: 0, b: 0 } }
    const { weights } = trainGate([pair], { buckets: 4, steps: 50 })
    assertEquals(weights, [[0, 0, 0, 0, 0], [0, 0, 0, 0, 0]])
  })

  it("gives the same gate again, on every engine", () => {
    const small = trainGate(preferences(20, 3), { buckets: 4, steps: 40 })
    assertEquals(small, trainGate(preferences(20, 3), { buckets: 4, steps: 40 }))
    assertEquals(small.weights[0], ROW)
  })

  it("refuses pairs and options that it cannot train with, and says where", () => {
    const good: GatePair = { prompt: "x", chosen: { a: 1 }, rejected: { a: 0 } }
    const refuse = (
      pairs: readonly unknown[],
      options: unknown,
      path: (string | number)[],
      part: string,
    ) => {
      const train = () => trainGate(pairs as GatePair[], options as TrainGateOptions)
      const error = assertThrows(train, GenArmError, part)
      assertEquals(error.reason, { _tag: "InvalidOption", path })
    }
    refuse([], {}, ["pairs"], "at least one pair")
    refuse([{ ...good, chosen: {} }], {}, ["pairs", 0, "chosen"], "expected scores")
    refuse([good, { ...good, rejected: {} }], {}, ["pairs", 1, "rejected", "a"], "undefined")
    refuse([good, { ...good, chosen: { a: NaN } }], {}, ["pairs", 1, "chosen", "a"], "NaN")
    refuse([good, { ...good, chosen: { a: 1, b: 1 } }], {}, ["pairs", 1, "chosen", "b"], "found b")
    refuse([good], { steps: 0 }, ["steps"], "found 0")
    refuse([good], { rate: -1 }, ["rate"], "found -1")
    refuse([good], { buckets: 1.5 }, ["buckets"], "whole number")
    refuse([good], { decay: -1 }, ["decay"], "at least 0")
    refuse([good], { epochs: 3 }, ["epochs"], "no option but buckets")
  })
})

/** Of 20 pairs and 40 steps. */
const ROW = [-1.50483, 1.81479, -1.57727, -0.487638, 0.705266]

describe("gated", () => {
  const gate = { terms: ["a", "b", "c"], buckets: 2, weights: [[0, 0, 1], [0, 0, 0], [0, 0, -1]] }

  it("is the scaled softmax of a linear map", async () => {
    const sum = Math.E + 1 + 1 / Math.E
    assertAlmostEquals(await weightFor("me", { gate, term: "a" }), Math.E / sum, 1e-8)
    const scaled = await weightFor("me", { gate, term: "c", scale: -3 })
    assertAlmostEquals(scaled, -3 / Math.E / sum, 1e-8)
  })

  it("counts words, whatever their case and order, and no others", async () => {
    const wordy = { terms: ["a", "b"], buckets: 64, weights: [rowOf(1), rowOf(2)] }
    const at = (prompt: string) => weightFor(prompt, { gate: wordy, term: "a" })
    assertEquals(await at("prove me"), await at("me  prove"))
    assertEquals(await at("me"), await at("me me me"))
    assert(await at("prove") !== await at("comfort"))
    assert(await at("me prove prove") !== await at("me prove"))
  })

  it("takes extreme gates to 0 and 1, and refuses those that overflow", async () => {
    const extreme = { ...gate, weights: [[0, 0, 1e6], [0, 0, 0], [0, 0, -1e6]] }
    assertEquals(await weightFor("me", { gate: extreme, term: "a" }), 1)
    assertEquals(await weightFor("me", { gate: extreme, term: "c" }), 0)
    const broken = { ...gate, weights: [[1e308, 1e308, 1e308], [0, 0, 0], [0, 0, 0]] }
    const error = await weightFor("me sing", { gate: broken, term: "a" }).catch((error) => error)
    assert(error instanceof GenArmError && error.message.includes("too large"), String(error))
  })

  it("is saved and read again as plain data", () => {
    const rewards = { x: { reward: logitBias({ bias: {} }), weight: gated({ gate, term: "b" }) } }
    const saved = JSON.parse(JSON.stringify(defineGraph({ base: "b", rewards })))
    assertEquals(saved.rewards.x.weight.options, { gate, term: "b" })
  })

  it("refuses a gate of the wrong shape, and a reward that it does not have", () => {
    const wrong: [GatedOptions, (string | number)[], string][] = [
      [{ gate, term: "d" }, ["term"], "a or b or c"],
      [{ gate: { ...gate, buckets: 3 }, term: "a" }, ["gate", "weights"], "3 rows of 4"],
      [{ gate: { ...gate, terms: ["a"] }, term: "a" }, ["gate", "weights"], "1 rows of 3"],
      [{ gate: { ...gate, terms: [] }, term: "a" }, ["gate", "terms"], "length"],
      [{ gate, term: "a", scale: Infinity }, ["scale"], "finite"],
    ]
    for (const [options, path, part] of wrong) {
      const error = assertThrows(() => gated(options), GenArmError, part)
      assertEquals(error.reason, { _tag: "InvalidOption", path })
    }
  })
})

function rowOf(seed: number): number[] {
  const next = uniforms(seed)
  return Array.from({ length: 65 }, () => next() * 4)
}
