/** @module A weight that depends on what the last token was. */
import { Schema } from "effect"
import { defineSchedule, type SchedulePlugin } from "genarm/plugin"

/** A class of tokens, and the weight after one of them. */
export interface TokenClass {
  /**
   * A regular expression (with the flag `u`) on the token's text, with the space that it begins with
   * where it does: `"\\d"`, `"[.!?]$"`, `"^ \\p{Lu}"`.
   */
  readonly pattern: string
  /** The weight of the token that comes after. */
  readonly weight: number
}

/** Options of `tokenClass`. */
export interface TokenClassOptions {
  /** The first whose pattern is found decides. */
  readonly classes: readonly TokenClass[]
  /** The weight after all other tokens. */
  readonly otherwise: number
}

const pattern = Schema.String.check(Schema.makeFilter((text) => {
  try {
    new RegExp(text, "u")
    return true
  } catch (error) {
    return `Expected a regular expression (${(error as Error).message})`
  }
}))

/**
 * The weight by the class of the token before: the last one written, and for the first token the
 * prompt's last. Guides, say, what follows a full stop, and leaves the rest alone.
 *
 * A token's text is what it adds to a text. Special tokens have none, so that `"^$"` finds them; bytes
 * that are no whole character read as U+FFFD.
 *
 * @example
 * ```ts
 * import { tokenClass } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const sentences = tokenClass({ classes: [{ pattern: "[.!?]$", weight: 2 }], otherwise: 0.5 })
 * assertEquals(sentences.plugin, "tokenClass")
 * ```
 */
export const tokenClass: SchedulePlugin<TokenClassOptions> = defineSchedule({
  name: "tokenClass",
  options: Schema.Struct({
    classes: Schema.Array(Schema.Struct({ pattern, weight: Schema.Finite })).check(
      Schema.isMinLength(1),
    ),
    otherwise: Schema.Finite,
  }),
  open({ classes, otherwise }, { decode }) {
    const rules = classes.map(({ pattern, weight }) => ({
      found: new RegExp(pattern, "u"),
      weight,
    }))
    const weightAfter = (id: number): number => {
      // At the beginning of a text some tokenizers leave out a token's space.
      const text = decode([id, id]).slice(decode([id]).length)
      return rules.find(({ found }) => found.test(text))?.weight ?? otherwise
    }
    const known = new Map<number, number>()
    return {
      weight({ lastId }) {
        if (lastId === undefined) return otherwise
        const weight = known.get(lastId) ?? weightAfter(lastId)
        known.set(lastId, weight)
        return weight
      },
    }
  },
})
