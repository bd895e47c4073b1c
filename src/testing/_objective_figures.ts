/** Checks of what an objective writes: numbers, the same again, for each example by itself. */
import { isDeepStrictEqual } from "node:util"
import { messageOf } from "../errors.ts"
import { definition } from "../plugin/node.ts"
import type { PairBatch, TextBatch } from "../plugin/objective.ts"
import type { Batch } from "../train/batch.ts"
import { snapshot } from "./_nodes.ts"
import type { ObjectiveBench, Steps } from "./_objective_bench.ts"
import { type Check, fail } from "./_suite.ts"

/** Figures of a step by their names. */
export type Figures = Readonly<Record<string, number>>

/** Examples of a step. */
export const examples = 6

/** The checks of figures, each under the name that others build on. */
export interface FigureChecks {
  readonly writes: Check
  readonly unusual: Check
  readonly again: Check
  readonly options: Check
  readonly parts: Check
  readonly filling: Check
}

/** Makes the checks. */
export function figureChecks(bench: ObjectiveBench): FigureChecks {
  const { name, node } = bench

  const writes: Check = {
    name: "writes a loss, and what else it reports, as numbers",
    run: async () => {
      const { data } = bench.definition as { readonly data: unknown }
      if (data !== "texts" && data !== "pairs") {
        fail(`${name} is trained on ${String(data)}: expected data: "texts" or data: "pairs"`)
      }
      const { metrics, error, usesReference } = await look(bench)
      if (error !== undefined && usesReference) {
        fail(
          `${name} failed: ${
            messageOf(error)
          }. It uses a reference, and does not ask for one: say ` +
            "reference: true",
        )
      }
      if (error !== undefined) throw error
      if (metrics.includes("loss")) {
        fail(`${name} reports "loss" among its metrics, which hides the loss: take another name`)
      }
      await bench.withSteps(async ({ step }) => {
        const { figures, gradient } = await step(bench.batch(bench.examples(examples)))
        checkNumbers(name, figures, gradient, "on an ordinary batch")
      })
    },
  }

  const unusual: Check = {
    name: "gives numbers for a model that knows nothing, and for one that is very sure",
    needs: [writes],
    run: async () => {
      const models = { "to which all tokens are as likely": 0, "that is sure of other texts": 60 }
      for (const [model, spread] of Object.entries(models)) {
        await bench.withSteps(async ({ step }) => {
          for (const count of [1, examples]) {
            const { figures, gradient } = await step(bench.batch(bench.examples(count)))
            checkNumbers(name, figures, gradient, `for a model ${model}`)
          }
        }, { spread })
      }
    },
  }

  const again: Check = {
    name: "gives the same for the same batch",
    needs: [writes],
    run: async () => {
      const batch = bench.batch(bench.examples(examples))
      const read = () => bench.withSteps(async ({ evaluate }) => (await evaluate(batch)).figures)
      const expected = await read()
      for (let i = 0; i < 2; i++) {
        checkFigures(
          await read(),
          expected,
          `${name} was asked about a batch again`,
          "Draw no " +
            "random numbers, and keep nothing in the plugin: the graph is written anew for each shape",
        )
      }
    },
  }

  const options: Check = {
    name: "leaves its options as they are",
    needs: [writes],
    run: async () => {
      const before = snapshot(node.options)
      await bench.withSteps(({ step }) => step(bench.batch(bench.examples(examples))))
      if (isDeepStrictEqual(snapshot(node.options), before)) return
      fail(`${name} changed its options while it wrote the loss: change a copy`)
    },
  }

  /** The figures of a batch, against those of others that must add up to them. */
  const compare = (
    { found, expected }: { readonly found: readonly Batch[]; readonly expected: Batch },
    what: string,
    remedy: string,
  ) =>
    bench.withSteps(async ({ evaluate }) => {
      const { figures } = await evaluate(expected)
      checkFigures(await total(evaluate, found), figures, `${name} ${what}`, remedy)
    })

  const parts: Check = {
    name: "counts each example once, in whatever batches they come",
    needs: [again],
    run: async () => {
      const of = bench.examples(examples)
      const expected = bench.batch(of)
      const remedy =
        "Give means by the batch's mean, which divides by the examples of the step, and " +
        "let each example stand by itself"
      const parts = [of.slice(0, 1), of.slice(1, 3), of.slice(3)]
      await compare(
        { found: parts.map((part) => bench.batch(part, { of })), expected },
        "was given a step in three batches, whose figures are added up",
        remedy,
      )
      const twice = bench.batch(of, { of: [...of, ...of] })
      await compare(
        { found: [twice, twice], expected },
        "was given a step with each example twice, in two batches",
        remedy,
      )
    },
  }

  const filling: Check = {
    name: "leaves out what only fills a batch up",
    needs: [parts],
    run: async () => {
      const of = bench.examples(examples)
      const expected = bench.batch(of)
      const remedy =
        "Sum with the batch's mean, which leaves them out, and divide by counts, not by " +
        "the shape"
      await compare(
        { found: [bench.batch(of, { padding: 5 })], expected },
        "was given longer rows, with nothing in them",
        remedy,
      )
      await compare(
        { found: [bench.batch(of, { filling: 2 })], expected },
        "was given two examples more that are not to count",
        remedy,
      )
    },
  }

  return { writes, unusual, again, options, parts, filling }
}

/** What the objective does when it writes its loss. */
interface Look {
  /** The names of its metrics. */
  readonly metrics: readonly string[]
  /** What it throws. */
  readonly error: unknown
  /** Whether it looks for a reference that there is not. */
  readonly usesReference: boolean
}

async function look(bench: ObjectiveBench): Promise<Look> {
  const { node, definition: found } = bench
  let metrics: readonly string[] = []
  let usesReference = false
  const noting = <A extends object>(side: A): A =>
    new Proxy(side, {
      get(rows, key) {
        if (key === "reference" && !(key in rows)) usesReference = true
        return Reflect.get(rows, key)
      },
    })
  const loss = (options: unknown, batch: TextBatch & PairBatch) => {
    const { chosen, rejected } = batch
    const watched = found.data === "pairs"
      ? { ...batch, chosen: noting(chosen), rejected: noting(rejected) }
      : batch
    const written = found.loss(options, watched)
    metrics = Object.keys(written.metrics ?? {})
    return written
  }
  const watched = { ...node, [definition]: { ...found, loss } }
  const batch = bench.batch(bench.examples(1))
  const error = await bench.withSteps(
    ({ evaluate }) => evaluate(batch).then(() => undefined, (error: unknown) => error),
    { node: watched },
  )
  return { metrics, error, usesReference }
}

async function total(evaluate: Steps["evaluate"], batches: readonly Batch[]): Promise<Figures> {
  const sum: Record<string, number> = {}
  for (const batch of batches) {
    const { figures } = await evaluate(batch)
    for (const [name, figure] of Object.entries(figures)) sum[name] = (sum[name] ?? 0) + figure
  }
  return sum
}

/** Fails where a figure or an element of the gradient is no finite number. */
export function checkNumbers(
  name: string,
  figures: Figures,
  gradient: Float32Array,
  where: string,
): void {
  const remedy = "softplus(x) and logs of probabilities stay finite where exp(x) does not"
  for (const [figure, value] of Object.entries(figures)) {
    if (!Number.isFinite(value)) fail(`${name} gave ${figure} as ${value} ${where}: ${remedy}`)
  }
  const broken = gradient.find((value) => !Number.isFinite(value))
  if (broken !== undefined) {
    fail(`${name} gave a loss whose gradient has ${broken} ${where}: ${remedy}`)
  }
}

/** Whether two figures differ by more than rounding. */
export function differ(one: number, other: number): boolean {
  return !(Math.abs(one - other) <= 1e-4 * Math.abs(other) + 1e-5)
}

/** Fails where figures differ. */
export function checkFigures(
  found: Figures,
  expected: Figures,
  what: string,
  remedy: string,
): void {
  for (const [figure, value] of Object.entries(expected)) {
    if (!differ(found[figure], value)) continue
    fail(`${what}: ${figure} was ${found[figure]}, expected ${value}. ${remedy}`)
  }
  const more = Object.keys(found).find((figure) => !(figure in expected))
  if (more !== undefined) fail(`${what}: it reported ${more}, which it did not before. ${remedy}`)
}
