/**
 * Writing an ONNX graph node by node. Values are named by strings; weights stay outside the
 * protocol buffer, as external data handed to the session by reference, so that a model larger than
 * the 2 GB a protocol buffer may hold opens and no weight is copied on the way.
 * https://onnx.ai/onnx/repo-docs/IR.html
 */
import { ProtobufMessage } from "./protobuf.ts"

/** An element type of a tensor. */
export type ElementType = "float32" | "uint8" | "int32" | "int64" | "bool"

/** Their numbers in `TensorProto.DataType`. */
const elementTypes: Readonly<Record<ElementType, number>> = {
  float32: 1,
  uint8: 2,
  int32: 6,
  int64: 7,
  bool: 9,
}

/** The name of a value in the graph: an input, a weight or the output of a node. */
export type Value = string

/** A dimension: a number, or a name for one that is known only when the graph runs. */
export type Dimension = number | string

/** An attribute of a node; plain numbers are integers, `{ float }` marks a float. */
export type Attribute = number | string | readonly number[] | { readonly float: number }

/** What a session needs to run the graph. */
export interface EncodedModel {
  /** The `ModelProto`. */
  readonly model: Uint8Array<ArrayBuffer>
  /** The weights it refers to, for the session's `externalData`. */
  readonly externalData: readonly { readonly path: string; readonly data: Uint8Array }[]
}

/** `AttributeProto.AttributeType` of floats, integers, strings and lists of integers. */
const attributeTypes = { float: 1, integer: 2, string: 3, integers: 7 } as const

/** Weights below this many bytes are stored inline: small constants drive shape inference. */
const inlineBytes = 512

/** A graph under construction: add inputs, weights and nodes, then `encode`. */
export class GraphBuilder {
  readonly #graph = new ProtobufMessage()
  readonly #external: { path: string; data: Uint8Array }[] = []
  readonly #constants = new Map<string, Value>()
  #names = 0

  /** Declares an input of the graph. */
  input(name: string, type: ElementType, shape: readonly Dimension[]): Value {
    this.#graph.message(11, valueInfo(name, type, shape))
    return name
  }

  /** Declares an output of the graph; a node must produce a value of this name. */
  output(name: string, type: ElementType, shape: readonly Dimension[]): void {
    this.#graph.message(12, valueInfo(name, type, shape))
  }

  /** A constant tensor; `data` is read when the session is created, and must not change before. */
  weight(name: string, type: ElementType, shape: readonly number[], data: ArrayBufferView): Value {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    const tensor = new ProtobufMessage()
    for (const size of shape) tensor.integer(1, size)
    tensor.integer(2, elementTypes[type]).text(8, name)
    if (bytes.length < inlineBytes) {
      tensor.bytes(9, bytes)
    } else {
      const entry = (key: string, value: string) =>
        new ProtobufMessage().text(1, key).text(2, value)
      tensor.message(13, entry("location", name))
      tensor.message(13, entry("offset", "0"))
      tensor.message(13, entry("length", String(bytes.length)))
      tensor.integer(14, 1) // DataLocation.EXTERNAL
      this.#external.push({ path: name, data: bytes })
    }
    this.#graph.message(5, tensor)
    return name
  }

  /** A constant list of integers, or with `scalar` a single one; equal constants are stored once. */
  integers(values: readonly number[], scalar = false): Value {
    const key = `${scalar}:${values}`
    const known = this.#constants.get(key)
    if (known !== undefined) return known
    const data = BigInt64Array.from(values, BigInt)
    const name = this.weight(this.#name("c"), "int64", scalar ? [] : [values.length], data)
    this.#constants.set(key, name)
    return name
  }

  /** A constant float, of no dimensions. */
  scalar(value: number): Value {
    const key = `float:${value}`
    const known = this.#constants.get(key)
    if (known !== undefined) return known
    const name = this.weight(this.#name("c"), "float32", [], Float32Array.of(value))
    this.#constants.set(key, name)
    return name
  }

  /** A node with one output. `operator` is `Name`, or `com.microsoft:Name` for the runtime's own. */
  node(
    operator: string,
    inputs: readonly Value[],
    attributes: Readonly<Record<string, Attribute>> = {},
    output?: string,
  ): Value {
    return this.nodes(operator, inputs, [output ?? this.#name(operator)], attributes)[0]
  }

  /** A node with several outputs, named by the caller or counted. */
  nodes(
    operator: string,
    inputs: readonly Value[],
    outputs: number | readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
  ): Value[] {
    const names = typeof outputs === "number"
      ? Array.from({ length: outputs }, () => this.#name(operator))
      : [...outputs]
    const [domain, type] = operator.includes(":") ? operator.split(":") : ["", operator]
    const node = new ProtobufMessage()
    for (const name of inputs) node.text(1, name)
    for (const name of names) node.text(2, name)
    node.text(3, this.#name("n")).text(4, type)
    for (const [name, value] of Object.entries(attributes)) node.message(5, attribute(name, value))
    if (domain !== "") node.text(7, domain)
    this.#graph.message(1, node)
    return names
  }

  /** The finished model: IR version 10, opset 21 and the runtime's own operators. */
  encode(): EncodedModel {
    this.#graph.text(2, "genarm")
    const opset = (domain: string, version: number) =>
      new ProtobufMessage().text(1, domain).integer(2, version)
    const model = new ProtobufMessage()
      .integer(1, 10)
      .text(2, "genarm")
      .message(7, this.#graph)
      .message(8, opset("", 21))
      .message(8, opset("com.microsoft", 1))
    return { model: model.encode(), externalData: this.#external }
  }

  #name(prefix: string): string {
    return `${prefix}_${this.#names++}`
  }
}

function valueInfo(
  name: string,
  type: ElementType,
  dimensions: readonly Dimension[],
): ProtobufMessage {
  const shape = new ProtobufMessage()
  for (const size of dimensions) {
    const dimension = new ProtobufMessage()
    shape.message(
      1,
      typeof size === "number" ? dimension.integer(1, size) : dimension.text(2, size),
    )
  }
  const tensor = new ProtobufMessage().integer(1, elementTypes[type]).message(2, shape)
  return new ProtobufMessage().text(1, name).message(2, new ProtobufMessage().message(1, tensor))
}

function attribute(name: string, value: Attribute): ProtobufMessage {
  const message = new ProtobufMessage().text(1, name)
  if (typeof value === "number") {
    return message.integer(3, value).integer(20, attributeTypes.integer)
  }
  if (typeof value === "string") return message.text(4, value).integer(20, attributeTypes.string)
  if ("float" in value) return message.float(2, value.float).integer(20, attributeTypes.float)
  for (const item of value) message.integer(8, item)
  return message.integer(20, attributeTypes.integers)
}
