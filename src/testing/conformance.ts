/** The suite of a plugin: checks that any test runner can run, each by itself. */
import { type Layer, Schema } from "effect"
import { GenArmError } from "../errors.ts"
import type { ModelRef } from "../files/model_ref.ts"
import { checkNode } from "../plugin/check_node.ts"
import { modelRefSchema } from "../plugin/model_ref_schema.ts"
import { definition, fromFactory, isPluginNode, type PluginNode } from "../plugin/node.ts"
import { decodeAt, printValue } from "../plugin/options.ts"
import type { AnyPlugin } from "../plugin/registry.ts"
import type { Runtime } from "../runtime/runtime.ts"
import { none } from "./_nodes.ts"
import { objectiveSuite } from "./objective_suite.ts"
import { rewardSuite } from "./reward_suite.ts"
import { samplerSuite } from "./sampler_suite.ts"
import { scheduleSuite } from "./schedule_suite.ts"
import { strategySuite } from "./strategy_suite.ts"

/** One thing that a plugin must do. */
export interface ConformanceTest {
  /** A sentence, of which the plugin is the subject. */
  readonly name: string
  /** Rejects with an `AssertionError` that says what was expected and what was found. */
  readonly run: () => Promise<void>
}

/** What a suite runs a plugin in; a small world of made-up models where nothing is said. */
export interface ConformanceOptions {
  /**
   * Opens every model that the plugin names, and the base; a made-up model for each where absent:
   * `values:good,bad` is then a value head with these labels, `bytes:any` a language model that reads
   * byte by byte, and any other name a language model that reads as the base does.
   */
  readonly runtime?: Layer.Layer<Runtime>
  /** The base model in that runtime; the plugin's own models must share its vocabulary. */
  readonly base?: string | ModelRef
  /** What the base reads; `"a"` where absent. */
  readonly prompt?: string
  /** What is drawn goes by it; 1 where absent. */
  readonly seed?: number
}

const schema = Schema.Struct({
  runtime: Schema.optionalKey(Schema.Unknown),
  base: Schema.optionalKey(Schema.Union([Schema.NonEmptyString, modelRefSchema])),
  prompt: Schema.optionalKey(Schema.NonEmptyString),
  seed: Schema.optionalKey(
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 32 - 1 })),
  ),
})

/**
 * The checks of a plugin's contract, for any test runner: scores that are filled in and finite, the same
 * text by the same seed, inputs left as they were, states that fork, rewind and close, texts that survive
 * an abort, nodes that are saved and read back ... They need no model, no network and no file.
 *
 * A check that builds on another says nothing where that one fails: run them all. Each is about one set
 * of options; a plugin that does different things with different ones is checked with each.
 *
 * @param plugin A node, or a plugin that needs no options.
 * @throws {GenArmError} `InvalidOption` for what is no plugin built in code, and for unknown options.
 *
 * @example
 * ```ts
 * import { defineReward } from "genarm/plugin"
 * import { conformance } from "genarm/testing"
 *
 * const noDigits = defineReward({
 *   name: "noDigits",
 *   open: (_, sequence) => ({
 *     score(_, out) {
 *       for (let id = 0; id < out.length; id++) out[id] = /\d/.test(sequence.token(id) ?? "") ? -1 : 0
 *     },
 *   }),
 * })
 * // In a test file of Deno, Bun or Node: test(`noDigits ${name}`, run).
 * for (const { run } of conformance(noDigits)) await run()
 * ```
 */
export function conformance(
  plugin: PluginNode | AnyPlugin,
  options: ConformanceOptions = {},
): ConformanceTest[] {
  decodeAt(schema, options, [], "InvalidOption")
  const node = fromFactory(plugin)
  const kind = isPluginNode(node) ? node[definition]?.kind : undefined
  const checked = <Kind extends NonNullable<typeof kind>>(kind: Kind): PluginNode<Kind> =>
    checkNode(none, kind, plugin, ["plugin"], "InvalidOption")
  switch (kind) {
    case "reward":
      return rewardSuite(checked(kind), options)
    case "schedule":
      return scheduleSuite(checked(kind), options)
    case "sampler":
      return samplerSuite(checked(kind), options)
    case "strategy":
      return strategySuite(checked(kind), options)
    case "objective":
      return objectiveSuite(checked(kind), options)
    case undefined:
      throw new GenArmError(
        { _tag: "InvalidOption", path: ["plugin"] },
        "expected a plugin such as defineReward gives, or a node that calling it gives, found " +
          `${printValue(plugin)}: data from a file names its plugin, and does not carry it`,
      )
  }
}
