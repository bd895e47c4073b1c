import { assert, assertEquals } from "@std/assert"
import { describe, it } from "node:test"
import { InferenceSession, Tensor } from "onnxruntime-node"
import { GraphBuilder } from "../../src/onnx/graph_builder.ts"

const create = (g: GraphBuilder) => {
  const { model, externalData } = g.encode()
  return InferenceSession.create(model, { externalData, logSeverityLevel: 4 })
}

describe("a graph", () => {
  it("runs with weights inside and outside of the protocol buffer", async () => {
    for (const size of [1, 127, 128, 1000]) {
      const g = new GraphBuilder()
      const x = g.input("x", "float32", ["n", size])
      const weights = Float32Array.from({ length: size }, (_, i) => i)
      g.node("Add", [x, g.weight("w", "float32", [size], weights)], {}, "y")
      g.output("y", "float32", ["n", size])
      assertEquals(g.encode().externalData.length, size * 4 < 512 ? 0 : 1)
      const session = await create(g)
      const ones = new Tensor("float32", new Float32Array(2 * size).fill(1), [2, size])
      const { y } = await session.run({ x: ones })
      assertEquals(y.data, Float32Array.from({ length: 2 * size }, (_, i) => 1 + i % size))
      await session.release()
    }
  })

  it("takes a weight from the middle of a buffer", async () => {
    const buffer = Float32Array.from({ length: 400 }, (_, i) => i)
    const g = new GraphBuilder()
    g.node("Identity", [g.weight("w", "float32", [200], buffer.subarray(50, 250))], {}, "y")
    g.output("y", "float32", [200])
    const session = await create(g)
    assertEquals((await session.run({})).y.data, buffer.slice(50, 250))
    await session.release()
  })

  it("writes attributes of every kind, and several outputs", async () => {
    const g = new GraphBuilder()
    const x = g.input("x", "float32", [2, 4])
    const [left, right] = g.nodes("Split", [x], 2, { axis: -1, num_outputs: 2 })
    const product = g.node("com.microsoft:FusedMatMul", [left, right], {
      alpha: { float: 0.5 },
      transB: 1,
    })
    g.node("Transpose", [product], { perm: [1, 0] }, "y")
    g.output("y", "float32", [2, 2])
    g.node("ScatterElements", [
      x,
      g.weight("at", "int64", [1, 1], BigInt64Array.of(3n)),
      g.node("Reshape", [g.scalar(5), g.integers([1, 1])]),
    ], {
      axis: 1,
      reduction: "add",
    }, "z")
    g.output("z", "float32", [2, 4])
    const session = await create(g)
    const data = Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8)
    const { y, z } = await session.run({ x: new Tensor("float32", data, [2, 4]) })
    // 0.5 * [[1, 2], [5, 6]] * [[3, 4], [7, 8]]^T, transposed.
    assertEquals(y.data, Float32Array.of(5.5, 19.5, 11.5, 41.5))
    assertEquals(z.data, Float32Array.of(1, 2, 3, 9, 5, 6, 7, 8))
    await session.release()
  })

  it("stores equal constants once, and keeps a list of one from a single number", () => {
    const g = new GraphBuilder()
    assertEquals(g.integers([1, 2]), g.integers([1, 2]))
    assert(g.integers([1]) !== g.integers([1], true))
    assert(g.integers([1, 2]) !== g.integers([2, 1]))
    assertEquals(g.scalar(0.5), g.scalar(0.5))
    assert(g.scalar(1) !== g.integers([1], true))
  })

  it("says what its inputs and outputs are", async () => {
    const g = new GraphBuilder()
    const ids = g.input("ids", "int64", ["batch", 3])
    g.node("Cast", [ids], { to: 1 }, "y")
    g.output("y", "float32", ["batch", 3])
    const session = await create(g)
    const described = (values: readonly InferenceSession.ValueMetadata[]) =>
      values.map((value) => value.isTensor && [value.name, value.type, ...value.shape])
    assertEquals(described(session.inputMetadata), [["ids", "int64", "batch", 3]])
    assertEquals(described(session.outputMetadata), [["y", "float32", "batch", 3]])
    await session.release()
  })
})
