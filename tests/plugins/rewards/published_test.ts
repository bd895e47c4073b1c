import { assert, assertAlmostEquals, assertEquals } from "@std/assert"
import {
  arm,
  contrast,
  defineGraph,
  type GraphSpec,
  greedy,
  intersection,
  openPipeline,
  type Pipeline,
  policyMixture,
  type PolicyMixtureOptions,
  proxyTuning,
  type TokenEvent,
  trajectory,
  union,
} from "genarm"
import { describe, it } from "node:test"
import { fileURLToPath } from "node:url"
import { always, open, watch } from "../../decode/_pipelines.ts"
import { chances, steering, vocabularyOf } from "../_steering.ts"

/** The guided log-probabilities of a token, by id. */
const guided = ({ top }: TokenEvent): Map<number, number> =>
  new Map(top!.map(({ id, logprob }) => [id, logprob.guided]))

/** Checks a row of log-probabilities; what is null is to be ruled out. */
function assertRow(
  token: TokenEvent,
  expected: readonly (number | null)[],
  tolerance = 3e-6,
): void {
  const found = guided(token)
  expected.forEach((value, id) => {
    if (value === null) assertEquals(found.get(id) ?? -Infinity, -Infinity, `${id}`)
    else assertAlmostEquals(found.get(id)!, value, tolerance, `${id}`)
  })
}

async function generated(pipeline: Pipeline, prompt: readonly number[], maxTokens: number) {
  const trace = { top: 300 }
  return (await pipeline.generate(prompt, { maxTokens, trace })).tokens
}

const ids = (tokens: readonly TokenEvent[]) => tokens.map(({ id }) => id)

describe("proxyTuning", () => {
  const { models, prompt, cases } = steering.proxyTuning
  const folder = (name: string) =>
    fileURLToPath(new URL(`../../fixtures/models/${name}`, import.meta.url))

  for (const { alpha, greedy: expected, logprobs } of cases) {
    it(`writes with the weight ${alpha} what the authors' code writes`, async () => {
      const reward = proxyTuning({
        tuned: folder(models.expert),
        untuned: folder(models.antiexpert),
      })
      const rewards = { tuned: { reward, weight: alpha } }
      const graph = defineGraph({ base: folder(models.base), rewards, sampler: greedy() })
      await using pipeline = await openPipeline(graph)
      const tokens = await generated(pipeline, prompt, expected.length)
      assertEquals(ids(tokens), expected)
      assertRow(tokens[0], logprobs, 1e-4)
    })
  }
})

describe("policyMixture", () => {
  const { logits, weights, cases } = steering.mod
  /** Prompts are one token, and rows go by the length of the text. */
  const table = (name: string) => ({
    vocabulary: vocabularyOf(logits[name][0].length),
    next: (before: readonly number[]) => chances(logits[name][before.length - 1]),
  })
  const models = watch({
    base: table("base"),
    ...Object.fromEntries(Object.keys(weights).map((name) => [name, table(name)])),
  })
  const of: PolicyMixtureOptions["of"] = Object.fromEntries(
    Object.entries(weights).map(([model, weight]) => [model, { model, weight }]),
  )

  for (const { divergence, over, greedy: expected, logprobs } of cases) {
    const name = typeof divergence === "string" ? divergence : `alpha ${divergence.alpha}`
    it(`is the paper's combination over each ${over}: ${name}`, async () => {
      const reward = policyMixture({ of, divergence, over })
      await using pipeline = await open(models, {
        rewards: { mixture: { reward, weight: 1 } },
        sampler: greedy(),
      })
      const tokens = await generated(pipeline, [0], expected.length)
      assertEquals(ids(tokens), expected)
      tokens.forEach((token, t) => assertRow(token, logprobs[t]))
    })
  }

  it("differs from the authors' code by what it says it does", () => {
    for (const { divergence, over, logprobs, code } of cases) {
      logprobs.forEach((row, t) => {
        const alpha = typeof divergence === "object" ? divergence.alpha : 1
        // Theirs to the power of 1 / alpha, normalised.
        const powers = code[t].map((value) => value / alpha)
        const sum = Math.log(powers.reduce((sum, power) => sum + Math.exp(power), 0))
        const differ = powers.some((power, id) => Math.abs(power - sum - row[id]) > 1e-4)
        assertEquals(
          differ,
          divergence === "jensenShannon",
          `${JSON.stringify(divergence)} ${over}`,
        )
      })
    }
  })
})

describe("contrast in the form of contrastive decoding", () => {
  const { expert, amateur, cases } = steering.contrastive

  for (const { share, left } of cases) {
    it(`masks and scores as the authors' code does: ${share} of the likeliest`, async () => {
      const vocabulary = vocabularyOf(expert.length)
      const models = watch({
        base: { vocabulary, next: always(...vocabulary.map(() => 1)) },
        expert: { vocabulary, next: always(...chances(expert)) },
        amateur: { vocabulary, next: always(...chances(amateur)) },
      })
      const reward = contrast({ expert: "expert", amateur: "amateur", plausible: share })
      await using pipeline = await open(models, {
        rewards: { x: { reward, weight: 1 } },
        sampler: greedy(),
      })
      const [{ top }] = await generated(pipeline, [0], 1)
      const found = new Map(top!.map(({ id, rewards }) => [id, rewards.x]))
      assertEquals([...found.keys()].sort((a, b) => a - b), Object.keys(left).map(Number))
      for (const [id, value] of Object.entries(left)) {
        const score = found.get(Number(id))!
        // Where the amateur alone rules out, theirs is Infinity, and this is far above the others.
        if (value === "Infinity") assert(score > 900)
        else assertAlmostEquals(score, value, 3e-6)
      }
    })
  }
})

describe("trajectory", () => {
  const { logits, rewards, cases } = steering.trajectory
  const vocabulary = vocabularyOf(logits.length)
  const models = watch({ base: { vocabulary, next: always(...chances(logits)) } })
  const score = (text: string) => rewards[vocabulary.indexOf(text.at(-1)!)]

  for (const { form, candidates, weight, greedy: expected, left } of cases) {
    it(`in the form ${form} with ${weight} and ${candidates} candidates is the authors'`, async () => {
      const isDefault = candidates === { args: 10, rad: 20 }[form]
      const reward = trajectory({ score, form, ...!isDefault && { candidates } })
      await using pipeline = await open(models, {
        rewards: { r: { reward, weight } },
        sampler: greedy(),
      })
      const [token] = await generated(pipeline, [0], 1)
      assertEquals(token.id, expected)
      assertRow(token, vocabulary.map((_, id) => left[id] ?? null))
    })
  }
})

describe("union and intersection", () => {
  const { logits, cases } = steering.algebra
  const vocabulary = vocabularyOf(logits.base.length)
  const models = watch(
    Object.fromEntries(
      Object.entries(logits).map(([name, row]) => [
        name,
        { vocabulary, next: always(...chances(row)) },
      ]),
    ),
  )

  for (const { kind, weight, logprobs } of cases) {
    it(`are the operators of language model arithmetic: ${weight} of ${kind}`, async () => {
      const of = [arm({ model: "one" }), arm({ model: "two" })]
      const reward = kind === "union" ? union({ of }) : intersection({ of })
      const spec: Partial<GraphSpec> = { rewards: { x: { reward, weight } }, sampler: greedy() }
      await using pipeline = await open(models, spec)
      const [token] = await generated(pipeline, [0], 1)
      assertRow(token, logprobs)
    })
  }
})
