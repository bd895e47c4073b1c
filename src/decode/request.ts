/** Checking the options of one request, and filling in what was left out. */
import { Schema } from "effect"
import { GenArmError } from "../errors.ts"
import { checkWeight } from "../graph/define_graph.ts"
import type { Weight } from "../graph/graph.ts"
import { drawSeed } from "../math/random.ts"
import { decodeAt } from "../plugin/options.ts"
import type { OpenGraph } from "./open_graph.ts"
import type { GenerateOptions, Trace } from "./types.ts"

/** A request with nothing left to decide. */
export interface Request {
  readonly maxTokens: number
  readonly seed: number
  readonly stop: readonly string[]
  readonly signal: AbortSignal | undefined
  readonly weights: Readonly<Record<string, Weight>>
  readonly n: number
  readonly trace: Trace
}

const positive = Schema.Int.check(Schema.isGreaterThan(0))

const schema = Schema.Struct({
  maxTokens: Schema.optionalKey(positive),
  seed: Schema.optionalKey(
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 32 - 1 })),
  ),
  stop: Schema.optionalKey(Schema.Array(Schema.NonEmptyString)),
  signal: Schema.optionalKey(Schema.Unknown),
  weights: Schema.optionalKey(Schema.Record(Schema.String, Schema.Unknown)),
  n: Schema.optionalKey(positive),
  trace: Schema.optionalKey(
    Schema.Union([Schema.Literals(["sampled", "none"]), Schema.Struct({ top: positive })]),
  ),
})

/** Checks the options against the graph they are for. */
export function checkRequest(graph: OpenGraph, options: GenerateOptions): Request {
  const given = Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  )
  const checked = decodeAt(schema, given, [], "InvalidOption")
  const names = graph.terms.map(({ name }) => name)
  const weights: Record<string, Weight> = {}
  for (const [name, weight] of Object.entries(checked.weights ?? {})) {
    const path = ["weights", name]
    if (!names.includes(name)) {
      throw new GenArmError(
        { _tag: "InvalidOption", path },
        `there is no reward "${name}" to weigh; the graph has ${names.join(", ") || "none"}`,
      )
    }
    weights[name] = checkWeight(graph.plugins, weight, path, "InvalidOption")
  }
  const { signal } = options
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new GenArmError({ _tag: "InvalidOption", path: ["signal"] }, "expected an AbortSignal")
  }
  return {
    maxTokens: checked.maxTokens ?? 256,
    seed: checked.seed ?? drawSeed(),
    stop: [...graph.graph.stop, ...checked.stop ?? []],
    signal,
    weights,
    n: checked.n ?? 1,
    trace: checked.trace ?? "sampled",
  }
}
