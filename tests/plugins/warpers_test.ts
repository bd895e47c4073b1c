import { assert, assertAlmostEquals, assertEquals } from "@std/assert"
import { logSoftmaxInto, randomStream } from "genarm/math"
import type { SamplerState } from "genarm/plugin"
import { readFileSync } from "node:fs"
import { describe, it } from "node:test"
import { gumbel } from "../../plugins/samplers/gumbel.ts"
import { sampling, type SamplingOptions } from "../../plugins/samplers/sampling.ts"

/** What `tests/fixtures/make_warpers.py` writes. */
interface Expected {
  readonly logits: Readonly<Record<string, readonly (number | null)[]>>
  readonly cases: readonly {
    readonly logits: string
    readonly options: Readonly<Record<string, number>>
    /** The ids that are there already. */
    readonly ids: readonly number[]
    readonly processors: readonly string[]
    /** Log-probabilities by id. */
    readonly left: Readonly<Record<string, number>>
  }[]
}

const { logits, cases }: Expected = JSON.parse(
  readFileSync(new URL("../fixtures/warpers_expected.json", import.meta.url), "utf8"),
)

const names = {
  temperature: "temperature",
  top_k: "topK",
  top_p: "topP",
  min_p: "minP",
  typical_p: "typicalP",
  repetition_penalty: "repetitionPenalty",
} as const

function optionsOf(options: Readonly<Record<string, number>>): SamplingOptions {
  return Object.fromEntries(
    Object.entries(options).map(([name, value]) => [names[name as keyof typeof names], value]),
  )
}

/** The guided scores of written-down logits: their log-probabilities, and a constant. */
function scoresOf(name: string, constant = 0): Float32Array {
  const scores = Float32Array.from(logits[name], (value) => value ?? -Infinity)
  logSoftmaxInto(scores, scores)
  return scores.map((score) => score + constant)
}

describe("the processors of Hugging Face's generate", () => {
  for (const { logits: name, options, ids, left, processors } of cases) {
    for (const plugin of [sampling, gumbel]) {
      const title = `${processors.join(", ")} leave of ${name} ${JSON.stringify(options)}`
      it(`${title} what ${plugin.definition.name} draws from`, () => {
        const scores = scoresOf(name)
        const given = plugin(optionsOf(options)).options
        const open = (promptIds: readonly number[]) =>
          plugin.definition.open(given, { vocabularySize: scores.length, promptIds })
        // In the prompt, in the text, or a part in each.
        for (const cut of [0, Math.floor(ids.length / 2), ids.length]) {
          const sampler = open(ids.slice(0, cut))
          for (const id of ids.slice(cut)) sampler.accept?.(id)
          const out = new Float32Array(scores.length)
          sampler.probabilities!({ scores, weightSum: 1 }, out)
          for (let id = 0; id < scores.length; id++) {
            const found = sampler.logProbability(id)
            if (!(id in left)) assertEquals(found, -Infinity, `${id}`)
            else assertAlmostEquals(found, left[id], 3e-5, `${id}`)
            assertAlmostEquals(out[id], Math.exp(left[id] ?? -Infinity), 1e-5)
          }
        }
      })
    }
  }

  it("run in the order that the options state", () => {
    const orders = new Set(
      cases.flatMap(({ processors }) =>
        processors.slice(1).map((after, i) => `${processors[i]} < ${after}`)
      ),
    )
    const order = ["RepetitionPenalty", "Temperature", "TopK", "TopP", "MinP", "Typical"]
    const longest = cases.find(({ processors }) => processors.length === order.length)!
    assertEquals(longest.processors.map((name) => name.replace(/Logits.*/, "")), order)
    assert(orders.size >= 8)
  })
})

describe("the repetition penalty", () => {
  const scores = scoresOf("E")
  const step = { scores, weightSum: 1 }
  const open = (promptIds: readonly number[] = [3]): SamplerState =>
    sampling.definition.open(sampling({ repetitionPenalty: 1.5 }).options, {
      vocabularySize: scores.length,
      promptIds,
    })
  const probabilitiesOf = (sampler: SamplerState, given = step) => {
    const out = new Float32Array(scores.length)
    sampler.probabilities!(given, out)
    return [...out]
  }

  it("takes the power of a probability, wherever the zero of the scores lies", () => {
    const all = [...scores].map(Math.exp)
    const penalised = all.map((p, id) => id === 3 || id === 6 ? p ** 1.5 : p)
    const sum = penalised.reduce((a, b) => a + b)
    for (const constant of [0, 100, -30]) {
      const sampler = open([3, 6, 6])
      const found = probabilitiesOf(sampler, { scores: scoresOf("E", constant), weightSum: 1 })
      found.forEach((p, id) => assertAlmostEquals(p, penalised[id] / sum, 1e-5))
    }
  })

  it("leaves the scores as they are, and tells their normaliser", () => {
    const sampler = open()
    const before = [...scores]
    const random = randomStream(1)
    for (let i = 0; i < 20; i++) sampler.sample({ ...step, random })
    assertEquals([...scores], before)
    assertAlmostEquals(sampler.logNormalizer!, 0, 1e-6)
  })

  it("forgets what is taken back, but not what was there before", () => {
    const sampler = open([3, 4])
    const [fresh, more] = [open([3, 4]), open([3, 4, 6])].map((state) => probabilitiesOf(state))
    for (const id of [6, 3, 6, 7]) sampler.accept!(id)
    sampler.rewind!(3)
    assertEquals(probabilitiesOf(sampler), more)
    sampler.rewind!(0)
    assertEquals(probabilitiesOf(sampler), more)
    sampler.rewind!(1)
    assertEquals(probabilitiesOf(sampler), fresh)
    for (const id of [6, 6]) sampler.accept!(id)
    sampler.rewind!(1)
    assertEquals(probabilitiesOf(sampler), more)
  })

  it("goes on by itself in a copy", () => {
    const sampler = open()
    sampler.accept!(6)
    const copy = sampler.fork!()
    assertEquals(probabilitiesOf(copy), probabilitiesOf(open([3, 6])))
    copy.accept!(7)
    sampler.accept!(8)
    assertEquals(probabilitiesOf(copy), probabilitiesOf(open([3, 6, 7])))
    assertEquals(probabilitiesOf(sampler), probabilitiesOf(open([3, 6, 8])))
    copy.rewind!(2)
    assertEquals(probabilitiesOf(copy), probabilitiesOf(open()))
  })

  it("of 1 keeps no state, and changes nothing", () => {
    const plain = sampling.definition.open(sampling({ repetitionPenalty: 1 }).options, {
      vocabularySize: scores.length,
      promptIds: [6],
    })
    assertEquals(plain.accept, undefined)
    probabilitiesOf(plain).forEach((p, id) => assertAlmostEquals(p, Math.exp(scores[id]), 1e-6))
  })
})
