/** Texts whose caches are kept, the one used last at the end; the others go first when it is full. */
import type { Engine, EngineCache } from "../engine/engine.ts"
import { commonLength } from "./common_length.ts"

/** What is kept at most, as if no two texts had a beginning in common. */
export interface PrefixLimits {
  /** Texts. */
  readonly entries: number
  /** Tokens of all texts. */
  readonly tokens: number
  /** Bytes of their caches and distributions. */
  readonly bytes: number
}

const usual: PrefixLimits = { entries: 64, tokens: 8192, bytes: 128 * 2 ** 20 }

/** A text, or the beginning of one, for one adapter of an engine. */
export interface KnownText {
  readonly cache: EngineCache
  /** `[vocabulary]` after the whole text; absent where it was not computed. */
  readonly logProbs?: Float32Array
}

interface Entry extends KnownText {
  readonly engine: Engine
  readonly ids: Int32Array
  readonly bytes: number
}

/** The texts that are kept. */
export class KnownTexts {
  readonly #limits: PrefixLimits
  #entries: Entry[] = []

  constructor(limits: Partial<PrefixLimits> = {}) {
    this.#limits = { ...usual, ...limits }
  }

  /** Texts kept. */
  get size(): number {
    return this.#entries.length
  }

  /** Bytes kept, as the limits count them. */
  get bytes(): number {
    return this.#entries.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  /** Keeps a text; its cache is closed when it is pushed out, or is known already. */
  add(engine: Engine, ids: ArrayLike<number>, text: KnownText): void {
    const { cache, logProbs } = text
    const same = this.#entries.find((entry) =>
      entry.engine === engine && entry.cache.adapter === cache.adapter &&
      entry.ids.length === ids.length && commonLength(entry.ids, ids) === ids.length
    )
    if (same?.logProbs !== undefined || (same !== undefined && logProbs === undefined)) {
      cache.close()
      this.#touch(same)
      return
    }
    if (same !== undefined) this.#drop(same)
    const bytes = ids.length * (engine.bytesPerToken ?? 0) + (logProbs?.byteLength ?? 0)
    this.#entries.push({ ...text, engine, ids: Int32Array.from(ids), bytes })
    while (this.#isOver()) this.#drop(this.#entries[0])
  }

  /**
   * A fork of the text that begins as `ids` does for longest, cut to what the two have in common,
   * but for the last token where its distribution is not known; `undefined` where that is not all,
   * and no longer than `least`.
   */
  take(
    engine: Engine,
    adapter: string | undefined,
    ids: readonly number[],
    least: number,
  ): KnownText | undefined {
    let best: Entry | undefined
    let longest = least
    for (const entry of this.#entries) {
      if (entry.engine !== engine || !holdsSame(engine, entry.cache.adapter, adapter)) continue
      const common = commonLength(entry.ids, ids)
      const isWhole = isEnd(entry, adapter, ids, common)
      const length = isWhole ? common : Math.min(common, ids.length - 1)
      if (length <= longest && !isWhole) continue
      best = entry
      longest = length
      if (isWhole) break
    }
    if (best === undefined) return undefined
    this.#touch(best)
    try {
      const cache = best.cache.fork({ adapter })
      cache.truncate(longest)
      const isWhole = isEnd(best, adapter, ids, longest)
      return isWhole ? { cache, logProbs: best.logProbs!.slice() } : { cache }
    } catch {
      this.#drop(best) // its engine was closed
      return undefined
    }
  }

  /** Forgets all texts. */
  clear(): void {
    for (const { cache } of this.#entries) cache.close()
    this.#entries = []
  }

  #isOver(): boolean {
    const { entries, tokens, bytes } = this.#limits
    const held = this.#entries.reduce((sum, { ids }) => sum + ids.length, 0)
    return this.#entries.length > entries || held > tokens || this.bytes > bytes
  }

  #touch(entry: Entry): void {
    this.#entries = [...this.#entries.filter((other) => other !== entry), entry]
  }

  #drop(entry: Entry): void {
    this.#entries = this.#entries.filter((other) => other !== entry)
    entry.cache.close()
  }
}

/** Whether caches for two adapters of an engine hold the same. */
export function holdsSame(
  engine: Engine,
  one: string | undefined,
  other: string | undefined,
): boolean {
  const isShared = (adapter: string | undefined) =>
    adapter === undefined || engine.sharesCaches?.(adapter) === true
  return one === other || (isShared(one) && isShared(other))
}

/** Whether an entry's distribution is the one after all of `ids`. */
function isEnd(
  entry: Entry,
  adapter: string | undefined,
  ids: readonly number[],
  common: number,
): boolean {
  return entry.logProbs !== undefined && entry.cache.adapter === adapter &&
    common === ids.length && common === entry.ids.length
}
