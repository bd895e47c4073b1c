/**
 * A decoder export of a few kilobytes, in the layout of ready-made ones. Its distribution depends on
 * every token so far, through a running sum that stands for attention.
 */
import { randomStream } from "genarm/math"
import { GraphBuilder, type Value } from "../../src/onnx/graph_builder.ts"

/** Ids of the export. */
export const tinyVocabulary = 11

/** What is different about an export. */
export interface TinyExport {
  /** An id whose embedding is NaN. */
  readonly poison?: number
  /** Without a cache, as an export for whole texts is. */
  readonly withoutPast?: true
  /** The cache goes in and does not come out. */
  readonly withoutPresent?: true
  /** The cache is kept in float16. */
  readonly float16?: true
  /** One more input, which no decoder has. */
  readonly extraInput?: string
  /** The name of the output; `logits` where absent. */
  readonly output?: string
}

/** The bytes of `onnx/model.onnx`. */
export function tinyExport(options: TinyExport = {}): Uint8Array<ArrayBuffer> {
  const width = 2
  const random = randomStream(7)
  const uniform = (size: number) =>
    Float32Array.from({ length: size }, () => random.nextUniform() * 4 - 2)
  const g = new GraphBuilder()
  const ids = g.input("input_ids", "int64", ["batch_size", "sequence_length"])
  g.input("attention_mask", "int64", ["batch_size", "total_length"])
  if (options.extraInput !== undefined) g.input(options.extraInput, "float32", ["batch_size"])

  const embeddings = uniform(tinyVocabulary * width)
  if (options.poison !== undefined) {
    embeddings.fill(NaN, options.poison * width, (options.poison + 1) * width)
  }
  const table = g.weight("embedding", "float32", [tinyVocabulary, width], embeddings)
  const embedded = g.node("Unsqueeze", [g.node("Gather", [table, ids]), g.integers([1])])
  const grown = options.withoutPast ? embedded : withPast(g, embedded, width, options)
  const sums = g.node("CumSum", [grown, g.weight("axis", "int64", [], BigInt64Array.of(2n))])
  const steps = g.node("Shape", [ids], { start: 1, end: 2 })
  const latest = g.node("Slice", [
    sums,
    g.node("Neg", [steps]),
    g.integers([2 ** 31]),
    g.integers([2]),
  ])
  const mixed = g.node("Add", [g.node("Sin", [latest]), embedded])
  const flat = g.node("Squeeze", [mixed, g.integers([1])])
  const head = g.weight("head", "float32", [width, tinyVocabulary], uniform(width * tinyVocabulary))
  const output = options.output ?? "logits"
  g.node("MatMul", [flat, head], {}, output)
  g.output(output, "float32", ["batch_size", "sequence_length", tinyVocabulary])
  const { model } = g.encode()
  return options.float16 ? withFloat16Caches(model) : model
}

/** `[1, 1, positions, width]` with the cache before it. */
function withPast(g: GraphBuilder, embedded: Value, width: number, options: TinyExport): Value {
  const grown = ["key", "value"].map((part) => {
    const past = g.input(`past_key_values.0.${part}`, "float32", ["batch_size", 1, "past", width])
    const wide = options.float16 ? g.node("Cast", [past], { to: 1 }) : past
    const all = g.node("Concat", [wide, embedded], { axis: 2 })
    if (!options.withoutPresent) {
      const present = `present.0.${part}`
      if (options.float16) g.node("Cast", [all], { to: 10 }, present)
      else g.node("Identity", [all], {}, present)
      g.output(present, "float32", ["batch_size", 1, "total", width])
    }
    return all
  })
  return grown[0]
}

/** Rewrites the element type of the declared caches, which the builder has no name for. */
function withFloat16Caches(model: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const out = model.slice()
  const text = String.fromCharCode(...out)
  for (
    const name of ["past_key_values.0.", "present.0."].flatMap((n) => [`${n}key`, `${n}value`])
  ) {
    // ValueInfo: the name, then its type (field 2), a tensor type (field 1), whose field 1 is float32.
    for (let at = text.indexOf(name); at >= 0; at = text.indexOf(name, at + 1)) {
      const type = at + name.length
      if (out[type] === 0x12 && out[type + 2] === 0x0a && out[type + 4] === 8) out[type + 5] = 10
    }
  }
  return out
}
