/** What every engine refuses before it runs anything. */
import { GenArmError } from "../errors.ts"
import { checkIds, closed, type Engine, type Row } from "./engine.ts"
import { OwnedCache, running } from "./owned_cache.ts"

/** A row whose cache is known to be the engine's own. */
export interface OwnedRow<C extends OwnedCache> extends Row {
  readonly cache: C
}

/** Gives the rows back when the engine can run them, and throws otherwise. */
export function checkRows<C extends OwnedCache>(
  engine: Engine,
  rows: readonly Row[],
): readonly OwnedRow<C>[] {
  const seen = new Set<OwnedCache>()
  rows.forEach(({ cache, tokens }, index) => {
    const path = ["rows", index, "cache"]
    if (!(cache instanceof OwnedCache) || cache.engine !== engine) {
      throw new GenArmError(
        { _tag: "InvalidOption", path },
        `expected a cache opened by ${engine.name}, found another's in row ${index}`,
      )
    }
    if (cache.isClosed) throw closed("this cache")
    if (cache.isRunning || seen.has(cache)) throw running(engine, path)
    seen.add(cache)
    if (tokens.length === 0) {
      throw new GenArmError({ _tag: "InvalidPrompt" }, "expected at least one token in each row")
    }
    checkIds(tokens, engine.vocabularySize, engine.name)
    if (cache.length + tokens.length > engine.contextLength) {
      throw new GenArmError(
        { _tag: "InvalidPrompt" },
        `${engine.name} holds ${engine.contextLength} tokens of context, and ${cache.length} + ` +
          `${tokens.length} are asked for: shorten the prompt or lower maxTokens`,
      )
    }
  })
  return rows as readonly OwnedRow<C>[]
}
