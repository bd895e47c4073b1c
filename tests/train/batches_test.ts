import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert"
import { describe, it } from "node:test"
import { armPreference, nextToken } from "genarm"
import { divide, negate } from "genarm/onnx"
import { defineObjective } from "genarm/plugin"
import { randomStream } from "genarm/math"
import { type Batch, layOut } from "../../src/train/batch.ts"
import type { BatchSource } from "../../src/train/batch_source.ts"
import type { TokenPair } from "../../src/train/data/pairs.ts"
import { PairBatches } from "../../src/train/pair_batches.ts"
import { permutation } from "../../src/train/permutation.ts"
import { TextBatches } from "../../src/train/text_batches.ts"
import { assertClose, openTrainable, withRunner } from "./_golden.ts"

const seed = 6

/** Texts of these lengths, no two tokens of which are equal; a BOS is any token that begins one. */
function distinctTexts(lengths: readonly number[]): number[][] {
  let next = 1
  return lengths.map((length) => Array.from({ length }, () => next++))
}

/** Pairs whose prompts, chosen and rejected responses have these lengths; no two tokens are equal. */
function distinctPairs(lengths: readonly (readonly [number, number, number])[]): TokenPair[] {
  let next = 1
  const draw = (length: number) => Array.from({ length }, () => next++)
  return lengths.map(([prompt, chosen, rejected]) => ({
    prompt: draw(prompt),
    chosen: draw(chosen),
    rejected: draw(rejected),
  }))
}

/** Token ids of the model that is run, from a seed. */
function randomIds(lengths: readonly number[]): number[][] {
  const random = randomStream(3)
  return lengths.map((length) =>
    Array.from({ length }, () => 4 + Math.floor(28 * random.nextUniform()))
  )
}

/** Each scored target with the token before it, row by row. */
function scoredTargets({ rows, tokens, ids, targets, mask }: Batch): [number, number][] {
  const found: [number, number][] = []
  for (let at = 0; at < rows * tokens; at++) {
    if (mask[at] === 1) found.push([Number(ids[at]), Number(targets[at])])
  }
  return found
}

function assertShape({ rows, tokens, ids, targets, mask }: Batch): void {
  for (const { length } of [ids, targets, mask]) assertEquals(length, rows * tokens)
  assert(mask.every((value) => value === 0 || value === 1))
}

const ascending = (values: Iterable<number>) => [...values].sort((a, b) => a - b)

const lengths = [9, 4, 17, 1, 6, 30, 2, 11, 5, 8] // 93 tokens

describe("batches of texts", () => {
  const texts = distinctTexts(lengths)
  const opening = new Set(texts.map(([first]) => first))
  const options = { batch: 4, accumulate: 2, tokens: 8, seed }
  /** One pass: 11 windows of 8, and what is left of 93 tokens. */
  const passes = new TextBatches(texts, { ...options, batch: 11, accumulate: 1 })

  it("count texts, and the windows of a pass", () => {
    assertEquals([passes.examples, passes.perEpoch], [10, Math.floor((93 - 1) / 8)])
    // The last token of a pass is a target only: 96 tokens hold no twelfth window of 8.
    const whole = new TextBatches(distinctTexts([90, 6]), { ...options, batch: 11, accumulate: 1 })
    assertEquals(whole.perEpoch, 11)
    assert(scoredTargets(whole.step(0)[0]).every(([before, target]) => target === before + 1))
    assertEquals(new TextBatches(distinctTexts([90, 7]), options).perEpoch, 12)
  })

  it("cover each token of a pass once, but for what a last window would be too short for", () => {
    for (const pass of [0, 1, 2]) {
      const [batch] = passes.step(pass)
      assertShape(batch)
      assertEquals([batch.rows, batch.tokens], [11, 8])
      const covered = new Set(batch.ids)
      assertEquals(covered.size, 88)
      // A window goes on where the one before ends, with the token that was its last target.
      for (let row = 1; row < 11; row++) {
        assertEquals(batch.targets[row * 8 - 1], batch.ids[row * 8])
      }
      for (let at = 0; at < 87; at++) assertEquals(batch.targets[at], batch.ids[at + 1])
    }
  })

  it("join texts in an order of each pass", () => {
    const firsts = [0, 1, 2].map((pass) =>
      [...passes.step(pass)[0].ids].map(Number).filter((id) => opening.has(id)).join()
    )
    assertEquals(new Set(firsts).size, 3)
    const other = new TextBatches(texts, { ...options, batch: 11, accumulate: 1, seed: seed + 1 })
    assertNotEquals(other.step(0)[0].ids, passes.step(0)[0].ids)
  })

  it("score every target but those that begin a text", () => {
    for (const pass of [0, 1, 2]) {
      const [batch] = passes.step(pass)
      const scored = scoredTargets(batch)
      for (const [before, target] of scored) {
        assertEquals(target, before + 1, "a target follows from another text")
        assert(!opening.has(target))
      }
      const openings = [...batch.targets].filter((id) => opening.has(Number(id))).length
      assert(openings >= 8)
      assertEquals(scored.length, 88 - openings)
      assertClose(batch.unit, 1 / scored.length, "the unit", 0)
    }
  })

  it("share their unit among the parts of a step", () => {
    const parts = new TextBatches(texts, options).step(1)
    assertEquals(parts.map(({ rows }) => rows), [2, 2])
    const scored = parts.flatMap(scoredTargets).length
    assertEquals(parts.map(({ unit }) => unit), [1 / scored, 1 / scored])
  })

  it("give a step that lies in two passes windows of both", () => {
    const source = new TextBatches(texts, options)
    const [first] = passes.step(0)
    const [second] = passes.step(1)
    const rows = source.step(2).flatMap((part) => [...part.ids])
    assertEquals(rows, [...first.ids.subarray(64, 88), ...second.ids.subarray(0, 8)])
  })

  it("evaluate each token once, whatever the batch, rows of their own and no window", () => {
    for (const batch of [1, 2, 4, 8]) {
      const batches = new TextBatches(texts, { ...options, batch, accumulate: 1 }).evaluation()
      batches.forEach(assertShape)
      assert(batches.every(({ rows }) => rows === batch))
      const scored = batches.flatMap(scoredTargets)
      const expected = texts.flatMap((ids) => ids.slice(1))
      assertEquals(ascending(scored.map(([, target]) => target)), expected)
      for (const [before, target] of scored) assertEquals(target, before + 1)
      for (const { unit } of batches) assertEquals(unit, 1 / expected.length)
    }
  })
})

describe("batches of pairs", () => {
  const pairs = distinctPairs([
    ...[[3, 5, 2], [1, 40, 3], [8, 1, 9], [2, 2, 2], [30, 4, 20], [5, 6, 7], [1, 1, 1]] as const,
  ])
  const options = { batch: 4, accumulate: 2, tokens: 64, seed }
  const length = ({ prompt, chosen, rejected }: TokenPair) =>
    prompt.length + Math.max(chosen.length, rejected.length) - 1
  const byFirst = new Map(pairs.map((pair) => [pair.prompt[0], pair]))
  /** The pairs of a batch, by the first token of their rows. */
  const pairsOf = ({ rows, tokens, ids }: Batch) =>
    Array.from({ length: rows / 2 }, (_, i) => byFirst.get(Number(ids[i * tokens]))!)

  function assertRows(batch: Batch): void {
    assertShape(batch)
    const { rows, tokens, ids, targets, mask } = batch
    const found = pairsOf(batch)
    for (let row = 0; row < rows; row++) {
      const pair = found[row % found.length]
      const response = row < rows / 2 ? pair.chosen : pair.rejected
      const whole = [...pair.prompt, ...response]
      const line = <A>(values: ArrayLike<A>) =>
        Array.from({ length: tokens }, (_, i) => values[row * tokens + i])
      const padded = (values: readonly number[]) =>
        Array.from({ length: tokens }, (_, i) => values[i] ?? 0)
      assertEquals(line(ids).map(Number), padded(whole.slice(0, -1)))
      assertEquals(line(targets).map(Number), padded(whole.slice(1)))
      // Neither the prompt nor padding is scored; the response is, its last token too.
      const scored = line(targets).filter((_, i) => line(mask)[i] === 1).map(Number)
      assertEquals(scored, [...response])
    }
  }

  it("lay chosen rows out before rejected ones, and score the responses alone", () => {
    const source = new PairBatches(pairs, options)
    for (let step = 0; step < 4; step++) source.step(step).forEach(assertRows)
    source.evaluation().forEach(assertRows)
  })

  it("take each pair once in a pass, in an order of each pass", () => {
    const source = new PairBatches(pairs, { ...options, batch: 1, accumulate: 1 })
    assertEquals([source.examples, source.perEpoch], [7, 7])
    const orders = [0, 1, 2].map((pass) =>
      Array.from({ length: 7 }, (_, i) => pairsOf(source.step(pass * 7 + i)[0])[0].prompt[0])
    )
    const all = ascending(byFirst.keys())
    for (const order of orders) assertEquals(ascending(order), all)
    assertEquals(new Set(orders.map(String)).size, 3)
  })

  it("sort the pairs of a step by length, and are as wide as a multiple of 32 that holds them", () => {
    const source = new PairBatches(pairs, options)
    for (const batches of [source.step(0), source.step(1), source.evaluation()]) {
      const counted = batches.flatMap((batch) =>
        pairsOf(batch).filter((_, i) => batch.present![i] === 1).map(length)
      )
      assertEquals(counted, ascending(counted))
      for (const batch of batches) {
        const longest = Math.max(...pairsOf(batch).map(length))
        assertEquals(batch.tokens, longest <= 32 ? 32 : 64)
      }
    }
    const narrow = new PairBatches(pairs, { ...options, tokens: 49 })
    assertEquals(narrow.evaluation().at(-1)!.tokens, 49)
  })

  it("evaluate each pair once, and fill a last batch up with what does not count", () => {
    const batches = new PairBatches(pairs, options).evaluation()
    assertEquals(batches.map(({ rows }) => rows), [4, 4, 4, 4])
    assertEquals(batches.map(({ present }) => [...present!]), [[1, 1], [1, 1], [1, 1], [1, 0]])
    assertEquals(batches.map(({ unit }) => unit), new Array(4).fill(1 / 7))
    const counted = batches.flatMap((batch) =>
      pairsOf(batch).filter((_, i) => batch.present![i] === 1)
    )
    assertEquals(ascending(counted.map(({ prompt }) => prompt[0])), ascending(byFirst.keys()))
  })

  it("take every pair as often as any other where a step has more than there are", () => {
    const few = new PairBatches(pairs.slice(0, 3), { ...options, batch: 9, accumulate: 1 })
    for (const step of [0, 1, 2]) {
      const [batch] = few.step(step)
      const prompts = pairsOf(batch).map(({ prompt }) => prompt[0])
      const expected = pairs.slice(0, 3).flatMap(({ prompt }) => [prompt[0], prompt[0], prompt[0]])
      assertEquals(ascending(prompts), ascending(expected))
      assertEquals([batch.unit, ...batch.present!], [1 / 9, ...new Array(9).fill(1)])
    }
    const [held, ...more] = few.evaluation()
    assertEquals([held.unit, ...held.present!], [1 / 3, 1, 1, 1, 0, 0, 0, 0, 0, 0])
    assertEquals(more, [])
  })

  it("give every pair its own reference, wherever it lies", async () => {
    const source = new PairBatches(pairs, options)
    assert(source.step(0).every(({ reference }) => reference === undefined))
    // A row's likelihood is told apart by the last token that it scores.
    const likelihoods = (batch: Batch) =>
      Float32Array.from({ length: batch.rows }, (_, row) => {
        const { tokens, targets } = batch
        return Math.max(...[...targets.subarray(row * tokens, (row + 1) * tokens)].map(Number))
      })
    await source.refer((batch) => Promise.resolve(likelihoods(batch)))
    for (const batch of [...source.step(0), ...source.step(1), ...source.evaluation()]) {
      assertEquals(batch.reference, likelihoods(batch))
    }
  })
})

/** Every array and number of batches, as text. */
const print = (batches: readonly Batch[]) =>
  batches.map((batch) => Object.entries(batch).map(([name, value]) => `${name}: ${value}`).join())

describe("rows laid out", () => {
  const isScored = () => true

  it("take one token more than the batch is wide, as the last target", () => {
    const { ids, targets, mask } = layOut([{ ids: [1, 2, 3], isScored }], 2)
    assertEquals([[...ids], [...targets], [...mask]], [[1n, 2n], [2n, 3n], [1, 1]])
  })

  it("refuse a longer row, which would run over into the next", () => {
    const rows = [{ ids: [1, 2, 3, 4], isScored }, { ids: [5, 6], isScored }]
    assertThrows(() => layOut(rows, 2), RangeError, "internal: a row of 4 ids in a batch 2 wide")
  })
})

describe("any step can be asked for again", () => {
  const texts = randomIds(lengths)
  const pairs = texts.map((ids): TokenPair => ({ prompt: [1], chosen: ids, rejected: [...ids, 5] }))
  const options = { batch: 4, accumulate: 2, tokens: 8, seed }
  const sources: Record<string, () => BatchSource> = {
    texts: () => new TextBatches(texts, options),
    pairs: () => new PairBatches(pairs, { ...options, tokens: 32 }),
  }
  for (const [kind, open] of Object.entries(sources)) {
    it(`in any order, from the beginning or not: ${kind}`, () => {
      const inOrder = open()
      const expected = Array.from({ length: 12 }, (_, step) => print(inOrder.step(step)))
      assertEquals(new Set(expected.map(String)).size, 12)
      const evaluated = print(inOrder.evaluation())
      const source = open()
      for (const step of [11, 0, 7, 7, 3, 2, 10]) {
        assertEquals(print(source.step(step)), expected[step])
      }
      assertEquals(print(source.evaluation()), evaluated)
      assertEquals(print(source.step(5)), expected[5])
      assertEquals(print(open().step(9)), expected[9])
    })
  }
})

describe("a step divided into parts", () => {
  const total = async (
    objective: Parameters<typeof withRunner>[1],
    batches: readonly Batch[],
  ): Promise<{ figures: Record<string, number>; gradient: Float32Array }> => {
    const trainable = await openTrainable("training_models/tied")
    const gradient = new Float32Array(trainable.values.length)
    const figures: Record<string, number> = {}
    await withRunner(trainable, objective, async (runner) => {
      for (const batch of batches) {
        const found = await runner.accumulate(batch, gradient)
        for (const [name, value] of Object.entries(found.figures)) {
          figures[name] = (figures[name] ?? 0) + value
        }
      }
    })
    return { figures, gradient }
  }
  const texts = randomIds(lengths)
  const pairs = lengths.map((length, i): TokenPair => ({
    prompt: [1, ...texts[(i + 3) % 10].slice(0, 5)],
    chosen: [...texts[i], 2],
    rejected: [...texts[(i + 1) % 10].slice(0, length + 2), 2],
  }))

  for (
    const [name, objective, batchesOf] of [
      [
        "nextToken",
        { plugin: nextToken },
        (accumulate: number) => new TextBatches(texts, { batch: 8, accumulate, tokens: 9, seed }),
      ],
      [
        "armPreference",
        { plugin: armPreference, options: { beta: 0.2 } },
        (accumulate: number) => new PairBatches(pairs, { batch: 8, accumulate, tokens: 64, seed }),
      ],
    ] as const
  ) {
    it(`has the same loss and gradient, and so has the evaluation: ${name}`, async () => {
      for (const batches of ["step", "evaluation"] as const) {
        const of = (accumulate: number) => {
          const source = batchesOf(accumulate)
          return total(objective, batches === "step" ? source.step(1) : source.evaluation())
        }
        const whole = await of(1)
        const norm = Math.hypot(...whole.gradient)
        assert(norm > 0.1)
        for (const accumulate of [2, 4]) {
          const parts = await of(accumulate)
          for (const [figure, value] of Object.entries(whole.figures)) {
            const off = Math.abs(parts.figures[figure] - value)
            assert(off <= 1e-6 * Math.max(1, Math.abs(value)), `${figure} is off by ${off}`)
          }
          const off = Math.hypot(...parts.gradient.map((value, i) => value - whole.gradient[i]))
          assert(off <= 1e-6 * Math.max(1, norm), `the gradient is off by ${off}`)
        }
      }
    })
  }

  it("is a mean over what counts where rows that fill a batch up score nothing", async () => {
    // The mean log-probability of a row's tokens: a row without any must not become NaN.
    const perRow = defineObjective({
      name: "perRow",
      data: "texts",
      loss: (_, { logProbs, counts, mean }) => ({ loss: mean(negate(divide(logProbs, counts))) }),
    })
    const source = new TextBatches(texts, { batch: 8, accumulate: 1, tokens: 64, seed })
    const { figures, gradient } = await total({ plugin: perRow }, source.evaluation())
    assert(figures.loss > 0 && Number.isFinite(figures.loss))
    assert(gradient.every(Number.isFinite))
  })
})

describe("a permutation", () => {
  it("holds every number once", () => {
    for (const count of [0, 1, 2, 7, 1000]) {
      const order = permutation(count, 1, 0)
      assertEquals(ascending(order), Array.from({ length: count }, (_, i) => i))
    }
  })

  it("is fixed by the seed and the pass, and differs between any two", () => {
    const seen = new Map<string, string>()
    for (const seed of [0, 1, 2, 3, 0xffffffff]) {
      for (let epoch = 0; epoch < 20; epoch++) {
        const order = permutation(50, seed, epoch).join()
        assertEquals(permutation(50, seed, epoch).join(), order)
        assert(!seen.has(order), `${seed}, pass ${epoch}, is ${seen.get(order)}`)
        seen.set(order, `${seed}, pass ${epoch}`)
      }
    }
  })

  it("puts every number at every place about as often", () => {
    const counts = new Array(16).fill(0)
    for (let epoch = 0; epoch < 4000; epoch++) {
      permutation(4, 8, epoch).forEach((value, place) => counts[4 * place + value]++)
    }
    // 1000 each; the standard deviation is 27.
    for (const count of counts) assert(Math.abs(count - 1000) < 140, `${counts}`)
  })
})
