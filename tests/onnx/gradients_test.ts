import { assert, assertEquals, assertThrows } from "@std/assert"
import { describe, it } from "node:test"
import * as onnx from "genarm/onnx"
import {
  add,
  concat,
  divide,
  exp,
  expand,
  greater,
  linear,
  log,
  logLikelihood,
  lookup,
  matmul,
  mean,
  multiply,
  negate,
  relu,
  reshape,
  rmsNorm,
  rotate,
  scale,
  sigmoid,
  softmax,
  softplus,
  split,
  splitAt,
  sqrt,
  subtract,
  sum,
  swiglu,
  Tape,
  type Tensor,
  transpose,
  zeros,
} from "genarm/onnx"
import {
  assertGradients,
  type Differentiable,
  open,
  run,
  valuesOf,
  write,
} from "./_differentiate.ts"

/** Integers as a constant of the graph. */
function ids({ tape }: Tensor, shape: readonly number[], values: readonly number[]): Tensor {
  const name = `ids.${values.join(".")}`
  return tape.tensor(
    tape.graph.weight(name, "int64", shape, BigInt64Array.from(values, BigInt)),
    shape,
  )
}

function positions(x: Tensor, shape: readonly number[], values: readonly number[]) {
  const angles = Array.from({ length: 8 }, (_, position) => [position, position / 10]).flat()
  return {
    positions: ids(x, shape, values),
    cos: x.tape.weight("cos", [8, 2], Float32Array.from(angles, Math.cos)),
    sin: x.tape.weight("sin", [8, 2], Float32Array.from(angles, Math.sin)),
  }
}

const mask = (x: Tensor, values: readonly number[]) =>
  x.tape.weight("mask", [values.length], Float32Array.from(values))

/** Grouped-query attention: two queries to a key, the second hidden from the first. */
function attention(queries: Tensor, keys: Tensor, values: Tensor): Tensor {
  const bias = queries.tape.weight("bias", [4, 2], Float32Array.of(0, -1e30, 0, 0, 0, -1e30, 0, 0))
  const scores = matmul(queries, keys, { transposed: true, scale: 0.5 })
  return matmul(softmax(add(scores, bias)), values)
}

/** By what they show; each operation is named in one at least. */
const cases: Readonly<Record<string, Differentiable>> = {
  "add": { shapes: [[2, 3], [2, 3]], of: add },
  "add of a row and a column, broadcast to a matrix": { shapes: [[3], [2, 1]], of: add },
  "add of a scalar, broadcast to three dimensions": { shapes: [[], [2, 1, 3]], of: add },
  "subtract": { shapes: [[2, 3], [2, 3]], of: subtract },
  "subtract of a row, broadcast": { shapes: [[2, 3], [1, 3]], of: subtract },
  "multiply": { shapes: [[2, 3], [2, 3]], of: multiply },
  "multiply of a matrix and a stack of columns": { shapes: [[2, 3], [4, 2, 1]], of: multiply },
  "multiply of a value by itself": { shapes: [[2, 3]], of: (x) => multiply(x, x) },
  "divide": { shapes: [[2, 3], [2, 3]], range: [1, 2], of: divide },
  "divide by a column, broadcast": { shapes: [[2, 3], [2, 1]], range: [1, 2], of: divide },
  "divide a row, broadcast": { shapes: [[3], [2, 3]], range: [1, 2], of: divide },
  "negate": { shapes: [[2, 3]], of: negate },
  "scale": { shapes: [[2, 3]], of: (x) => scale(x, -2.5) },
  "scale by one": { shapes: [[2, 3]], of: (x) => scale(x, 1) },
  "exp": { shapes: [[2, 3]], of: exp },
  "log": { shapes: [[2, 3]], range: [1, 3], of: log },
  "sqrt": { shapes: [[2, 3]], range: [1, 3], of: sqrt },
  "sigmoid": { shapes: [[2, 3]], range: [-4, 4], of: sigmoid },
  "softplus": { shapes: [[2, 3]], range: [-4, 4], of: softplus },
  "relu away from 0": { shapes: [[4, 3]], away: 0.25, of: relu },
  "swiglu": { shapes: [[2, 3], [2, 3]], range: [-2, 2], of: swiglu },
  "swiglu of a value with itself": { shapes: [[2, 3]], range: [-2, 2], of: (x) => swiglu(x, x) },
  "sum of everything": { shapes: [[2, 3]], of: (x) => sum(x) },
  "sum along the first dimension": { shapes: [[2, 3, 2]], of: (x) => sum(x, [0]) },
  "sum along the last two dimensions": { shapes: [[2, 3, 2]], of: (x) => sum(x, [1, 2]) },
  "sum along no dimension": { shapes: [[2, 3]], of: (x) => multiply(x, sum(x, [])) },
  "mean of everything": { shapes: [[2, 3]], of: (x) => mean(multiply(x, x)) },
  "mean along the last dimension": { shapes: [[2, 3]], of: (x) => subtract(x, mean(x, [1])) },
  "softmax": { shapes: [[2, 4]], range: [-2, 2], of: softmax },
  "softmax in four dimensions": { shapes: [[2, 1, 2, 3]], of: softmax },
  "logLikelihood": {
    shapes: [[3, 5]],
    range: [-2, 2],
    of: (x) => logLikelihood(x, ids(x, [3, 1], [4, 0, 4])),
  },
  "logLikelihood where some rows are masked": {
    shapes: [[3, 5]],
    of: (x) =>
      multiply(reshape(logLikelihood(x, ids(x, [3, 1], [1, 0, 3])), [3]), mask(x, [1, 0, 1])),
  },
  "rmsNorm": {
    shapes: [[3, 4], [4]],
    range: [0.25, 1],
    of: (x, weight) => rmsNorm(x, weight, 1e-5),
  },
  "rmsNorm of heads, with an epsilon that counts": {
    shapes: [[1, 2, 2, 4], [4]],
    of: (x, weight) => rmsNorm(x, weight, 0.5),
  },
  "rotate from the first position on": {
    shapes: [[2, 2, 3, 4]],
    of: (x) => rotate(x, positions(x, [1], [0])),
  },
  "rotate by the positions of each row": {
    shapes: [[2, 1, 3, 4]],
    of: (x) => rotate(x, positions(x, [2, 3], [0, 1, 2, 5, 6, 7])),
  },
  "linear": { shapes: [[3, 4], [2, 4]], of: linear },
  "linear with a bias": { shapes: [[3, 4], [2, 4], [2]], of: linear },
  "linear whose weight is its input too": { shapes: [[3, 4]], of: (x) => linear(x, x) },
  "matmul": { shapes: [[2, 3, 4], [2, 4, 2]], of: (a, b) => matmul(a, b) },
  "matmul with a scale": {
    shapes: [[2, 3, 4], [2, 4, 2]],
    of: (a, b) => matmul(a, b, { scale: 0.5 }),
  },
  "matmul with the second transposed": {
    shapes: [[2, 3, 4], [2, 2, 4]],
    of: (a, b) => matmul(a, b, { transposed: true }),
  },
  "matmul with the second transposed, and a scale": {
    shapes: [[2, 1, 3, 4], [2, 1, 2, 4]],
    of: (a, b) => matmul(a, b, { transposed: true, scale: -1.5 }),
  },
  "matmul of two plain matrices": { shapes: [[3, 4], [4, 2]], of: (a, b) => matmul(a, b) },
  "matmul and softmax in grouped-query attention": {
    shapes: [[1, 2, 4, 3], [1, 2, 2, 3], [1, 2, 2, 3]],
    of: attention,
  },
  "lookup": { shapes: [[5, 3]], of: (x) => lookup(x, ids(x, [3], [4, 0, 2])) },
  "lookup of the same rows several times": {
    shapes: [[5, 3]],
    of: (x) => lookup(x, ids(x, [2, 4], [1, 1, 0, 1, 4, 0, 1, 1])),
  },
  "lookup of matrices": { shapes: [[4, 2, 3]], of: (x) => lookup(x, ids(x, [3], [3, 1, 3])) },
  "lookup of single numbers": { shapes: [[4]], of: (x) => lookup(x, ids(x, [3, 1], [3, 1, 3])) },
  "lookup and linear of one matrix, a tied head": {
    shapes: [[5, 3]],
    of: (x) => logLikelihood(linear(lookup(x, ids(x, [2], [1, 4])), x), ids(x, [2, 1], [4, 2])),
  },
  "reshape": { shapes: [[2, 6]], of: (x) => exp(reshape(x, [3, 4])) },
  "reshape to no dimension": { shapes: [[1, 1]], of: (x) => exp(reshape(x, [])) },
  "transpose": { shapes: [[2, 3, 2]], of: (x) => exp(transpose(x, [2, 0, 1])) },
  "transpose between reshapes, as heads are separated": {
    shapes: [[6, 4]],
    of: (x) => exp(transpose(reshape(x, [2, 3, 2, 2]), [0, 2, 1, 3])),
  },
  "split": { shapes: [[2, 5]], of: (x) => split(exp(x), [2, 3]) },
  "split of which one piece is used": { shapes: [[2, 5]], of: (x) => split(x, [1, 3, 1])[1] },
  "split of which one piece is used twice": {
    shapes: [[2, 5]],
    of: (x) => {
      const [, last] = split(x, [2, 3])
      return multiply(last, exp(last))
    },
  },
  "splitAt the first dimension": {
    shapes: [[4, 3]],
    of: (x) => {
      const [chosen, rejected] = splitAt(x, 0, [2, 2])
      return divide(exp(chosen), exp(rejected))
    },
  },
  "splitAt into one piece": { shapes: [[2, 3]], of: (x) => splitAt(x, 1, [3]) },
  "concat": { shapes: [[2, 3], [2, 1]], of: (a, b) => exp(concat([a, b], 1)) },
  "concat along the first dimension": {
    shapes: [[2, 3], [1, 3]],
    of: (a, b) => exp(concat([a, b], 0)),
  },
  "concat of a value with itself and zeros": {
    shapes: [[2, 3]],
    of: (x) => exp(concat([x, zeros(x, [2, 2]), x], 1)),
  },
  "concat of one part": { shapes: [[2, 3]], of: (x) => exp(concat([x], 0)) },
  "expand": { shapes: [[2, 1]], of: (x) => exp(expand(x, [3, 2, 4])) },
  "multiply by where one is greater passes through the product alone": {
    shapes: [[4, 3]],
    away: 0.25,
    of: (x) => multiply(x, greater(x, x.tape.scalar(0))),
  },
}

for (const threads of [1, 2]) {
  describe(`gradients on ${threads} ${threads === 1 ? "thread" : "threads"}`, () => {
    for (const [name, f] of Object.entries(cases)) {
      it(`are those of differences: ${name}`, () => assertGradients(f, { threads }))
    }
  })
}

describe("the operations", () => {
  it("are all among the cases above", () => {
    const others = ["GraphBuilder", "Tape"]
    const operations = Object.keys(onnx).filter((name) => !others.includes(name))
    assert(operations.length > 25)
    const words = new Set(Object.keys(cases).flatMap((name) => name.split(/[ ,]+/)))
    assertEquals(operations.filter((name) => !words.has(name)), [])
  })

  it("never write a ScatterND, which loses sums on several threads", () => {
    for (const [name, f] of Object.entries(cases)) {
      const { operators } = write(f)
      assert(operators.length > 0)
      assert(!operators.includes("ScatterND"), name)
    }
    assert(write(cases.lookup).operators.includes("ScatterElements"))
  })

  it("refuse dimensions that a tensor has not, and shapes that do not fit", () => {
    const tape = new Tape()
    const x = tape.variable("x", [2, 3])
    for (
      const refused of [
        () => sum(x, [2]),
        () => mean(x, [-1]),
        () => splitAt(x, -1, [1, 2]),
        () => concat([x, x], 2),
        () => transpose(x, [0, 2]),
      ]
    ) assertThrows(refused, RangeError, "expected dimensions of [2,3], from 0 to 1, found")
    assertThrows(() => add(x, tape.variable("y", [2])), TypeError, "[2,3] and [2] do not broadcast")
    assertThrows(() => matmul(x, tape.variable("z", [3])), TypeError, "two stacks of matrices")
  })

  it("give both operands' shape where either is broadcast", () => {
    const tape = new Tape()
    const x = tape.variable("x", [2, 3])
    const zero = tape.scalar(0)
    for (const operation of [add, subtract, multiply, divide, greater]) {
      assertEquals(operation(x, zero).shape, [2, 3])
      assertEquals(operation(zero, x).shape, [2, 3])
    }
  })
})

describe("a tape", () => {
  it("gives zeros for a variable that the loss does not depend on", async () => {
    const f = { shapes: [[2], [3]], of: (x: Tensor) => multiply(x, x) }
    const session = await open(write(f).graph, 1)
    assertEquals((await run(session, f, valuesOf(f))).gradients[1], new Float32Array(3))
    await session.release()
  })

  it("gives one for the loss itself", async () => {
    const tape = new Tape()
    const x = tape.variable("x.0", [1, 1])
    tape.output("gradient.0", tape.gradients(x, [x])[0])
    const session = await open(tape.graph, 1)
    const { gradients } = await run(session, { shapes: [[1, 1]], of: (x) => x }, [
      Float32Array.of(3),
    ])
    assertEquals(gradients[0], Float32Array.of(1))
    await session.release()
  })

  it("gives the gradients of several losses", async () => {
    const tape = new Tape()
    const x = tape.variable("x.0", [2])
    const squares = multiply(x, x)
    const losses = [sum(squares), sum(multiply(squares, x))]
    losses.forEach((loss, i) => tape.output(`gradient.${i}`, tape.gradients(loss, [x])[0]))
    const session = await open(tape.graph, 1)
    const { gradients } = await run(session, { shapes: [[2]], of: (x) => x }, [
      Float32Array.of(3, -2),
    ])
    assertEquals(gradients, [Float32Array.of(6, -4), Float32Array.of(27, 12)])
    await session.release()
  })

  it("passes no gradient to inputs, weights and scalars", () => {
    const tape = new Tape()
    const input = tape.input("input", "float32", [2])
    const weight = tape.weight("weight", [2], Float32Array.of(1, 2))
    assert(!add(multiply(input, weight), tape.scalar(1)).isTracked)
    assert(multiply(input, tape.variable("x", [2])).isTracked)
  })

  it("adds no node for the gradient of what is no variable", () => {
    const nodes = (isVariable: boolean) => {
      const { operators } = write({
        shapes: [[3, 4]],
        of: (x) => linear(x, isVariable ? x : x.tape.weight("w", [2, 4], new Float32Array(8))),
      })
      return operators.filter((operator) => operator === "Gemm").length
    }
    assertEquals([nodes(true), nodes(false)], [3, 2])
  })

  it("refuses a loss of several elements", () => {
    const tape = new Tape()
    const x = tape.variable("x", [2, 3])
    assertThrows(() => tape.gradients(x, [x]), TypeError, "expected a loss of one element")
  })
})

/** Large enough for the runtime to divide each operation among threads. */
const large: Differentiable = {
  shapes: [[400, 64], [192, 64], [64], [128, 64], [64, 64]],
  range: [-0.3, 0.3],
  of: (embedding, projection, norm, gateUp, down) => {
    // Two thirds of 1536 ids are one of three.
    const tokens = Array.from({ length: 1536 }, (_, i) => i % 3 === 0 ? (i * 7) % 400 : i % 3)
    const x = reshape(lookup(embedding, ids(embedding, [12, 128], tokens)), [1536, 64])
    const heads = (y: Tensor) => transpose(reshape(y, [12, 128, 4, 16]), [0, 2, 1, 3])
    const [q, k, v] = split(linear(rmsNorm(x, norm, 1e-5), projection), [64, 64, 64]).map(heads)
    const scores = softmax(matmul(q, k, { transposed: true, scale: 0.25 }))
    const mixed = reshape(transpose(matmul(scores, v), [0, 2, 1, 3]), [1536, 64])
    const [gate, up] = split(linear(add(x, mixed), gateUp), [64, 64])
    const last = add(x, linear(swiglu(gate, up), down))
    const targets = ids(embedding, [1536, 1], tokens.map((id) => (id + 1) % 400))
    return logLikelihood(linear(last, embedding), targets)
  },
}

describe("gradients of a large graph", () => {
  it("are equal bit for bit in every run, on one thread and on two", async () => {
    const { graph } = write(large)
    const values = valuesOf(large)
    const found: Float32Array[][] = []
    for (const [threads, runs] of [[1, 2], [2, 4]]) {
      const session = await open(graph, threads)
      for (let i = 0; i < runs; i++) found.push((await run(session, large, values)).gradients)
      await session.release()
    }
    for (const dx of found[0]) assert(dx.some((value) => value !== 0))
    for (const other of found.slice(1)) assertEquals(other, found[0])
  })

  it("count every one of many ids on two threads", async () => {
    const tokens = Array.from({ length: 20_000 }, (_, i) => (i * i) % 7)
    const f: Differentiable = {
      shapes: [[8, 96]],
      of: (x) => sum(lookup(x, ids(x, [20_000], tokens))),
    }
    const { graph, weights } = write(f)
    const session = await open(graph, 2)
    for (let i = 0; i < 3; i++) {
      const { gradients } = await run(session, f, valuesOf(f))
      const counted = Array.from(
        { length: 8 },
        (_, id) => tokens.filter((token) => token === id).length,
      )
      // Adding one number n times in float32 is n times that number but for rounding.
      gradients[0].forEach((value, at) => {
        const expected = counted[Math.floor(at / 96)] * weights[0][0]
        assert(Math.abs(value - expected) <= 1e-3 * Math.max(1, expected), `${at}: ${value}`)
      })
    }
    await session.release()
  })
})

describe("functions far from 0", () => {
  it("keep their values and gradients: softplus, sigmoid, softmax, logLikelihood", async () => {
    const at = async (of: (x: Tensor) => Tensor, values: number[], shape: number[]) => {
      const tape = new Tape()
      const x = tape.variable("x.0", shape)
      tape.output("y.0", of(x))
      tape.output("gradient.0", tape.gradients(sum(of(x)), [x])[0])
      const session = await open(tape.graph, 1)
      const found = await run(session, { shapes: [shape], of }, [Float32Array.from(values)])
      await session.release()
      return { y: [...found.results[0]], dx: [...found.gradients[0]] }
    }
    /** Gradients need not be right below what float32 adds to 1. */
    const close = (actual: readonly number[], expected: readonly number[], least = 1e-7) =>
      actual.forEach((value, i) => {
        const limit = 1e-5 * Math.abs(expected[i]) + least
        assert(Math.abs(value - expected[i]) <= limit, `expected ${expected[i]}, found ${value}`)
      })
    const plus = await at(softplus, [-30, 0, 30, 200], [4])
    close(plus.y, [Math.exp(-30), Math.LN2, 30, 200], 1e-20)
    close(plus.dx, [Math.exp(-30), 0.5, 1, 1])
    close((await at(sigmoid, [-30, 200], [2])).dx, [Math.exp(-30), 0])
    const likelihood = await at(
      (x) => logLikelihood(x, ids(x, [1, 1], [0])),
      [-500, 500, 0],
      [1, 3],
    )
    close(likelihood.y, [-1000])
    close(likelihood.dx, [1, -1, 0])
    close((await at(softmax, [-500, 500], [1, 2])).y, [0, 1])
  })
})
