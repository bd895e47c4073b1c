/**
 * Gradients two ways: by the tape, and from the differences of the function itself. What an operation
 * gives is multiplied by fixed random numbers and summed, so that every element of it takes part with
 * a weight of its own; the sum of the differences is taken in float64.
 */
import { assert } from "@std/assert"
import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node"
import { randomStream } from "genarm/math"
import { add, type Attribute, GraphBuilder, multiply, sum, Tape, type Tensor } from "genarm/onnx"

/** A function of several variables. */
export interface Differentiable {
  /** Shapes of the variables. */
  readonly shapes: readonly (readonly number[])[]
  /** Where their values lie: uniform from the first to the second; [-1, 1] where absent. */
  readonly range?: readonly [number, number]
  /** How close to 0 they come. */
  readonly away?: number
  readonly of: (...variables: Tensor[]) => Tensor | Tensor[]
}

/** A graph that notes the operators of its nodes. */
class NotingGraph extends GraphBuilder {
  readonly operators: string[] = []

  override nodes(
    operator: string,
    inputs: readonly string[],
    outputs: number | readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
  ): string[] {
    this.operators.push(operator)
    return super.nodes(operator, inputs, outputs, attributes)
  }
}

/** A graph of the function's results, `y.N`, and gradients, `gradient.N`. */
export interface Written {
  readonly graph: GraphBuilder
  /** The operators of all nodes. */
  readonly operators: readonly string[]
  /** What each element of the results is multiplied by. */
  readonly weights: readonly Float32Array[]
}

/** Writes the graph. */
export function write({ shapes, of }: Differentiable): Written {
  const graph = new NotingGraph()
  const tape = new Tape(graph)
  const variables = shapes.map((shape, i) => tape.variable(`x.${i}`, shape))
  const results = [of(...variables)].flat()
  const random = randomStream(11)
  const weights = results.map(({ shape }) => uniform(sizeOf(shape as number[]), random, 0.5, 1.5))
  const loss = results
    .map((y, i) => sum(multiply(y, tape.weight(`weights.${i}`, y.shape as number[], weights[i]))))
    .map((y) => sum(y)).reduce((total, y) => add(total, y))
  results.forEach((y, i) => tape.output(`y.${i}`, y))
  tape.gradients(loss, variables).forEach((dx, i) => tape.output(`gradient.${i}`, dx))
  return { graph, operators: graph.operators, weights }
}

/** Opens a graph as training does. */
export function open(graph: GraphBuilder, threads: number): Promise<InferenceSession> {
  const { model, externalData } = graph.encode()
  return InferenceSession.create(model, {
    externalData,
    intraOpNumThreads: threads,
    logSeverityLevel: 4,
    extra: { session: { intra_op: { allow_spinning: "0" } } },
  })
}

/** Values of the variables, which a difference of a power of two is added to without rounding. */
export function valuesOf({ shapes, range = [-1, 1], away = 0 }: Differentiable): Float32Array[] {
  const random = randomStream(5)
  return shapes.map((shape) =>
    uniform(sizeOf(shape), random, ...range).map((x) => {
      const rounded = Math.round(x * 256) / 256
      return rounded < 0 ? rounded - away : rounded + away
    })
  )
}

/** Runs a graph on values of its variables. */
export async function run(
  session: InferenceSession,
  { shapes }: Differentiable,
  values: readonly Float32Array[],
): Promise<{ results: Float32Array[]; gradients: Float32Array[] }> {
  const outputs = await session.run(Object.fromEntries(
    values.map((x, i) => [`x.${i}`, new OrtTensor("float32", x, shapes[i])]),
  ))
  const all = (prefix: string) =>
    Object.keys(outputs).filter((name) => name.startsWith(prefix)).sort()
      .map((name) => outputs[name].data as Float32Array)
  return { results: all("y."), gradients: all("gradient.") }
}

/** A power of two: adding it to the values is exact. */
const step = 1 / 32

/** Asserts that the tape's gradients are those of the differences. */
export async function assertGradients(
  f: Differentiable,
  { threads, tolerance = 2e-4 }: { threads: number; tolerance?: number },
): Promise<void> {
  const { graph, weights } = write(f)
  const session = await open(graph, threads)
  try {
    const values = valuesOf(f)
    const { gradients } = await run(session, f, values)
    const lossAt = async (): Promise<number> => {
      let loss = 0
      const { results } = await run(session, f, values)
      results.forEach((y, i) => y.forEach((value, k) => loss += value * weights[i][k]))
      return loss
    }
    for (const [v, x] of values.entries()) {
      assert(gradients[v].length === x.length, `gradient ${v} has ${gradients[v].length} elements`)
      for (let i = 0; i < x.length; i++) {
        const at = x[i]
        const move = (by: number) => {
          x[i] = at + by * step
          return lossAt()
        }
        // The error is of the fourth order in the step.
        const near = await move(1) - await move(-1)
        const far = await move(2) - await move(-2)
        x[i] = at
        const expected = (8 * near - far) / (12 * step)
        const off = Math.abs(gradients[v][i] - expected)
        assert(
          off <= tolerance * Math.max(1, Math.abs(expected)),
          `variable ${v}, element ${i}: expected ${expected}, found ${gradients[v][i]}`,
        )
      }
    }
  } finally {
    await session.release()
  }
}

function uniform(
  size: number,
  random: { nextUniform(): number },
  low: number,
  high: number,
): Float32Array {
  return Float32Array.from({ length: size }, () => low + (high - low) * random.nextUniform())
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, n) => product * n, 1)
}
