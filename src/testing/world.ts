/**
 * The made-up world that suites run plugins in: any model that a plugin names is there, under a
 * distribution of its own that depends on the last few ids, and all but those that read bytes read one
 * vocabulary of some 300 ids. It knows how many caches are open, so that what is opened and not closed shows.
 */
import { Effect, Layer } from "effect"
import type { ModelRef } from "../files/model_ref.ts"
import type { Tokenizer } from "../files/tokenizer.ts"
import type { SequenceInfo } from "../plugin/reward.ts"
import { type OpenModel, Runtime } from "../runtime/runtime.ts"
import { labelsOf, type TableModel, type TableValueModel } from "../runtime/table_model.ts"
import { TableEngine, tableTokenizer } from "../runtime/table_runtime.ts"
import { madeUpIds } from "./_made_up.ts"
import { madeUpModel } from "./_models.ts"
import { eos, padding, vocabulary } from "./_vocabulary.ts"

export { madeUpIds, madeUpRow, madeUpScores } from "./_made_up.ts"

/** Entries of a row: the vocabulary, and padding that no tokenizer names. */
export const worldSize: number = vocabulary.length + padding

/** A world of its own: models opened in one are not those of another. */
export interface World {
  /** Opens every model, adapter or not. */
  readonly runtime: Layer.Layer<Runtime>
  /** The name that suites give the base. */
  readonly base: string
  /** Text to ids and back, the same for all models but those that read bytes. */
  readonly tokenizer: Tokenizer
  /** Ids that end a text. */
  readonly eos: readonly number[]
  /** What plugins learn about a sequence after this prompt. */
  sequence(prompt?: string): SequenceInfo
  /** Ids of a text without special tokens, drawn with the seed. */
  text(seed: number, length: number): readonly number[]
  /** Caches that are open now, of all models together. */
  openCaches(): number
  /** The models that were opened, by weights and adapter. */
  readonly opened: readonly string[]
}

/** A fresh world. */
export function makeWorld(): World {
  const models = new Map<string, OpenModel & { readonly engine: TableEngine }>()
  const tokenizer = tableTokenizer("made up", madeUpModel("made up"))
  const runtime = Layer.succeed(Runtime, {
    name: "made up",
    open: ({ ref }) =>
      Effect.sync(() => {
        const name = nameOf(ref)
        const known = models.get(name)
        if (known !== undefined) return known
        const { adapter } = ref
        const table = madeUpModel(name)
        const labels = labelsOf(table)
        const model = {
          engine: new MadeUpEngine(name, table, adapter),
          tokenizer: name.startsWith("bytes:") ? tableTokenizer(name, table) : tokenizer,
          eos: table.eos ?? [],
          ...adapter !== undefined && { adapter },
          ...labels && { labels },
        }
        models.set(name, model)
        return model
      }),
  })
  return {
    runtime,
    base: "base",
    tokenizer,
    eos,
    sequence: (prompt = "a") => ({
      vocabularySize: worldSize,
      promptIds: tokenizer.encode(prompt),
      eos,
      token: (id) => tokenizer.token(id),
      decode: (ids) => tokenizer.decode(ids),
      encode: (text) => tokenizer.encodeContinuation(text),
    }),
    text: (seed, length) => madeUpIds(seed, length, firstWithText, vocabulary.length),
    openCaches: () => [...models.values()].reduce((sum, { engine }) => sum + engine.openCaches, 0),
    get opened() {
      return [...models.keys()]
    },
  }
}

/** The special tokens come first. */
const firstWithText = vocabulary.findIndex((token) => !/^<\w+>$|^<\/\w+>$/.test(token))

/** What makes two models the same: precision is left out, as it changes nothing here. */
function nameOf({ model, revision, adapter }: ModelRef): string {
  return [model, revision && `@${revision}`, adapter && `+${adapter}`].filter(Boolean).join("")
}

/** A written-down model that is one with its adapter. */
class MadeUpEngine extends TableEngine {
  readonly adapters: readonly string[]

  constructor(name: string, table: TableModel | TableValueModel, adapter: string | undefined) {
    super(name, table)
    this.adapters = adapter === undefined ? [] : [adapter]
  }
}
