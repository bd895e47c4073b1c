/** Checks of what a model learns by an objective, and of what becomes of the objective in a file. */
import { isDeepStrictEqual } from "node:util"
import { messageOf } from "../errors.ts"
import { readBack, snapshot } from "./_nodes.ts"
import type { Example, ObjectiveBench } from "./_objective_bench.ts"
import { checkFigures, differ, examples, type FigureChecks } from "./_objective_figures.ts"
import { type Check, fail } from "./_suite.ts"

/** How far weights go, from the farthest on; together, as the length of the vector. */
const distances = [0.3, 0.1, 0.03, 0.01, 0.003]

/** The checks of learning. */
export interface LearningChecks {
  readonly learns: Check
  readonly prefers: Check
  readonly refers: Check
  readonly saves: Check
}

/** Makes the checks. */
export function learningChecks(
  bench: ObjectiveBench,
  { again, options }: FigureChecks,
): LearningChecks {
  const { name, node } = bench

  const learns: Check = {
    name: "has a gradient by which the loss becomes less",
    needs: [again],
    run: () =>
      bench.withSteps(async ({ weights, step, evaluate }) => {
        const batch = bench.batch(bench.examples(examples))
        const { figures: { loss }, gradient } = await step(batch)
        const length = Math.sqrt(gradient.reduce((sum, value) => sum + value * value, 0))
        if (length === 0) {
          fail(
            `${name} gives a loss whose gradient is 0, so that nothing is learnt: make it of the ` +
              "batch's logProbs by the operations of genarm/onnx, which record their gradients",
          )
        }
        const before = weights.slice()
        const found: number[] = []
        for (const distance of distances) {
          before.forEach((weight, i) => weights[i] = weight - distance * gradient[i] / length)
          found.push((await evaluate(batch)).figures.loss)
          if (found.at(-1)! < loss) return
        }
        fail(
          `${name} gives a gradient that does not lead to less: the loss was ${loss}, and along it ` +
            `${
              found.join(", ")
            }. What is recorded as backward must be the gradient of its operation`,
        )
      }),
  }

  const prefers: Check = {
    name: "tells the preferred text of a pair from the other",
    needs: [learns],
    run: () =>
      bench.withSteps(async ({ evaluate }) => {
        if (bench.definition.data !== "pairs") return
        const pairs = bench.examples(examples)
        const turned = pairs.map(({ texts, reference }) => ({
          texts: texts.toReversed(),
          reference: reference.toReversed(),
        }))
        const { figures: { loss } } = await evaluate(bench.batch(pairs))
        const { figures: { loss: other } } = await evaluate(bench.batch(turned))
        if (differ(other, loss)) return
        fail(
          `${name} gives the loss ${loss} whichever text of each pair is preferred: expected chosen ` +
            'and rejected to count differently, or data: "texts" for what is learnt from both',
        )
      }),
  }

  const refers: Check = {
    name: "makes use of the reference, where it asks for one",
    needs: [again],
    run: () =>
      bench.withSteps(async ({ evaluate }) => {
        const found = bench.definition
        if (found.data !== "pairs" || found.reference !== true) return
        const pairs = bench.examples(examples)
        const moved = pairs.map(({ texts, reference: [one, two] }): Example => ({
          texts,
          reference: [one + 2, two - 3],
        }))
        const { figures } = await evaluate(bench.batch(pairs))
        const { figures: others } = await evaluate(bench.batch(moved))
        if (Object.keys(figures).some((figure) => differ(others[figure], figures[figure]))) return
        fail(
          `${name} asks for a reference, which is a run of the model over all the data, and makes no ` +
            "use of it: leave out reference: true, or take it from chosen and rejected",
        )
      }),
  }

  const saves: Check = {
    name: "is read back from a file as it was",
    needs: [again, options],
    run: async () => {
      const saved = JSON.stringify(node)
      const remedy = "A checkpoint holds the options, and a training goes on with the same ones: " +
        "let them be data that a schema takes again"
      let read: typeof node
      try {
        read = readBack("objective", node)
      } catch (error) {
        fail(
          `${name} was saved as ${saved}, and cannot be read back: ${messageOf(error)}. ${remedy}`,
        )
      }
      if (!isDeepStrictEqual(snapshot(read.options), snapshot(node.options))) {
        fail(`${name} was saved as ${saved}, and came back with other options. ${remedy}`)
      }
      const batch = bench.batch(bench.examples(examples))
      const [found, expected] = [
        await bench.withSteps(({ evaluate }) => evaluate(batch), { node: read }),
        await bench.withSteps(({ evaluate }) => evaluate(batch)),
      ]
      checkFigures(
        found.figures,
        expected.figures,
        `${name} was saved and read back, and then`,
        "All that it does must follow from its options",
      )
    },
  }

  return { learns, prefers, refers, saves }
}
