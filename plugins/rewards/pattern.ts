/** @module Texts that match a regular expression or a JSON Schema. */
import { Schema } from "effect"
import {
  defineReward,
  GenArmError,
  type RewardPlugin,
  type RewardState,
  type SequenceInfo,
} from "genarm/plugin"
import { anchored } from "./_anchors.ts"
import { type ByteGraph, byteGraph, hasText } from "./_byte_graph.ts"
import { ByteStates, dead } from "./_byte_states.ts"
import { PatternProblem } from "./_expression.ts"
import { History } from "./_history.ts"
import { jsonTexts } from "./_json_schema.ts"
import type { PatternJson, PatternSchema } from "./_json_values.ts"
import { tokenBytes } from "./_known_tokens.ts"
import { parseRegex } from "./_parse_regex.ts"
import { bytesOf, type TokenBytes } from "./_token_bytes.ts"
import { TokenMasks } from "./_token_masks.ts"
import { type TokenTrie, tokenTrie } from "./_token_trie.ts"

export type { PatternJson, PatternSchema } from "./_json_values.ts"

/** Options of `pattern`: a regular expression, or a JSON Schema. */
export type PatternOptions =
  | {
    /**
     * What the whole text must match, read as JavaScript reads it with the flag `u`. Looking around,
     * backreferences and word boundaries are not supported.
     */
    readonly regex: string
  }
  | {
    /**
     * What the whole text must be valid against: `type`, `enum`, `const`, `$ref` into the schema;
     * `anyOf`, `allOf`, and `oneOf` where it is plain that no value is valid against two of its options;
     * `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum`; `minLength`, `maxLength`, `pattern`;
     * `items`, `minItems`, `maxItems`; `properties`, `required`, `additionalProperties`. It is written
     * with at most one space after `:` and `,`, only the named properties, in their order, and numbers
     * of at most 15 digits before the point and after it, with an exponent where nothing bounds them.
     */
    readonly jsonSchema: PatternSchema
    /** How often a `$ref` goes into itself, and how deep a value without a schema nests; 3 if absent. */
    readonly depth?: number
  }

/** The options once they have been checked. */
interface Checked {
  readonly regex?: string
  readonly jsonSchema?: PatternJson
  readonly depth?: number
}

const json: Schema.Codec<PatternJson> = Schema.Union([
  Schema.Null,
  Schema.Boolean,
  Schema.Finite,
  Schema.String,
  Schema.Array(Schema.suspend(() => json)),
  Schema.Record(Schema.String, Schema.suspend(() => json)),
])

const options = Schema.Struct({
  regex: Schema.optionalKey(Schema.String),
  jsonSchema: Schema.optionalKey(json),
  depth: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20 }))),
}).check(Schema.makeFilter((checked) => {
  const isSchema = checked.jsonSchema !== undefined
  if (isSchema === (checked.regex !== undefined)) return "Expected either `regex` or `jsonSchema`"
  if (!isSchema && checked.depth !== undefined) {
    return { path: ["depth"], issue: "Expected `depth` beside `jsonSchema` only" }
  }
  try {
    graphOf(checked)
    return undefined
  } catch (error) {
    if (!(error instanceof PatternProblem)) throw error
    return { path: [isSchema ? "jsonSchema" : "regex", ...error.path], issue: error.message }
  }
}))

/**
 * A mask that lets only texts through that match: an id that no further ids could complete to a match
 * gets `-Infinity`, any other 0, and the ids that end a text where the text so far matches. It is
 * exact for every way of cutting a text into tokens, parts of characters included. What it costs in a
 * step does not depend on the length of the text, and masks are kept by the state of the match.
 *
 * A weight changes nothing, as long as it is positive. A text that has left the pattern, which only one
 * that is scored or was written under the weight 0 can, is not held back any further.
 *
 * @example
 * ```ts
 * import { defineGraph, pattern } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const reward = pattern({
 *   jsonSchema: {
 *     type: "object",
 *     properties: { name: { type: "string", maxLength: 20 }, age: { type: "integer" } },
 *     required: ["name"],
 *   },
 * })
 * const graph = defineGraph({ base: "./models/base", rewards: { person: { reward, weight: 1 } } })
 * assertEquals(String(graph), "base + 1.0*person")
 * ```
 */
export const pattern: RewardPlugin<PatternOptions> = defineReward<
  never,
  Checked,
  PatternOptions
>({
  name: "pattern",
  options: options as unknown as Schema.Codec<Checked, PatternOptions>,
  open(checked, sequence) {
    const tokens = tokenBytes(sequence)
    const matcher = matcherOf(checked, sequence, tokens)
    const { start } = matcher.states
    if (!matcher.masks.isLive(start)) throw unwritable()
    return stateOf(matcher, tokens, new Set(sequence.eos), new History(start))
  },
})

/** An automaton, and its masks over the tokens of a model. */
interface Matcher {
  readonly states: ByteStates
  readonly masks: TokenMasks
}

function stateOf(
  matcher: Matcher,
  tokens: TokenBytes,
  eos: ReadonlySet<number>,
  history: History<number>,
): RewardState {
  return {
    score(_, out) {
      if (history.now === dead) out.fill(0)
      else matcher.masks.writeInto(history.now, out)
    },
    accept(id) {
      let state = history.now
      if (!eos.has(id)) {
        for (const byte of bytesOf(tokens, id)) state = matcher.states.next(state, byte)
      }
      history.push(state)
    },
    rewind: (count) => history.rewind(count),
    fork: () => stateOf(matcher, tokens, eos, history.fork()),
  }
}

function graphOf({ regex, jsonSchema, depth = 3 }: Checked): ByteGraph {
  const graph = byteGraph(
    regex === undefined ? jsonTexts(jsonSchema as PatternJson, depth) : anchored(parseRegex(regex)),
  )
  if (!hasText(graph)) throw new PatternProblem("no text matches: expected one that does")
  return graph
}

function unwritable(): GenArmError {
  return new GenArmError(
    { _tag: "PluginFailed", plugin: "pattern" },
    "no tokens of the base model make a text that matches the pattern: expected one whose characters " +
      "the model can write",
  )
}

/** What the sequences of one graph share. */
const graphs = new WeakMap<Checked, ByteGraph>()
const matchers = new WeakMap<Checked, WeakMap<TokenBytes, Map<string, Matcher>>>()
const tries = new WeakMap<TokenBytes, Map<string, TokenTrie>>()

function matcherOf(checked: Checked, sequence: SequenceInfo, tokens: TokenBytes): Matcher {
  const { promptIds, eos, vocabularySize } = sequence
  const isFirst = promptIds.every((id) => tokens.starts[id] === tokens.starts[id + 1])
  const dropsFirstSpace = tokens.dropsFirstSpace && isFirst
  const byTokens = kept(matchers, checked, () => new WeakMap<TokenBytes, Map<string, Matcher>>())
  const byStart = kept(byTokens, tokens, () => new Map<string, Matcher>())
  return kept(byStart, `${dropsFirstSpace} ${eos}`, () => {
    const byEos = kept(tries, tokens, () => new Map<string, TokenTrie>())
    const trie = kept(byEos, String(eos), () => tokenTrie(tokens, eos))
    const graph = kept(graphs, checked, () => graphOf(checked))
    const states = new ByteStates(graph, dropsFirstSpace)
    return { states, masks: new TokenMasks(states, trie, eos, vocabularySize) }
  })
}

/** What a map has under a key, made where it has nothing. */
function kept<K, V>(
  map: { get(key: K): V | undefined; set(key: K, value: V): unknown },
  key: K,
  make: () => V,
): V {
  const known = map.get(key)
  if (known !== undefined) return known
  const made = make()
  map.set(key, made)
  return made
}
