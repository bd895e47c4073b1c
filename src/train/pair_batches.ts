/**
 * Preference pairs as training batches: chosen responses, then rejected ones. The pairs of a step are
 * sorted by length before they are divided into batches, so that little is spent on padding.
 */
import { type Batch, bucketOf, layOut } from "./batch.ts"
import type { BatchSource } from "./batch_source.ts"
import type { TokenPair } from "./data/pairs.ts"
import { permutation } from "./permutation.ts"

/** Log-probabilities of a pair's responses under the frozen reference. */
export interface PairReference {
  readonly chosen: number
  readonly rejected: number
}

/** How pairs are divided. */
export interface PairBatchOptions {
  /** Pairs in a step. */
  readonly batch: number
  /** Batches a step is divided into. */
  readonly accumulate: number
  /** Tokens of a row at most. */
  readonly tokens: number
  readonly seed: number
}

/** Rows are as long as a multiple of this. */
const bucket = 32

/** Batches of pairs, any step of which can be asked for. */
export class PairBatches implements BatchSource {
  readonly examples: number
  readonly perEpoch: number
  readonly #pairs: readonly TokenPair[]
  readonly #options: PairBatchOptions
  /** By pair; empty until the reference has been run. */
  #references: readonly PairReference[] = []
  #epoch = -1
  #order = new Uint32Array()

  constructor(pairs: readonly TokenPair[], options: PairBatchOptions) {
    this.#pairs = pairs
    this.#options = options
    this.examples = pairs.length
    this.perEpoch = pairs.length
  }

  step(step: number): Batch[] {
    const { batch } = this.#options
    const chosen = Array.from({ length: batch }, (_, i) => this.#at(step * batch + i))
    return [...this.#divide(chosen)]
  }

  evaluation(): Batch[] {
    return [...this.#divide(this.#pairs.map((_, i) => i))]
  }

  /** Takes the reference's log-probabilities: `likelihoods` gives those of a batch's rows. */
  async refer(likelihoods: (batch: Batch) => Promise<Float32Array>): Promise<void> {
    const references: PairReference[] = new Array(this.#pairs.length)
    const sorted = this.#sorted(this.#pairs.map((_, i) => i))
    const size = this.#size
    let at = 0
    for (const batch of this.#divide(sorted)) {
      const found = await likelihoods(batch)
      sorted.slice(at, at += size).forEach((pair, i) => {
        references[pair] = { chosen: found[i], rejected: found[size + i] }
      })
    }
    this.#references = references
  }

  get #size(): number {
    return this.#options.batch / this.#options.accumulate
  }

  #at(index: number): number {
    const epoch = Math.floor(index / this.perEpoch)
    if (epoch !== this.#epoch) {
      this.#epoch = epoch
      this.#order = permutation(this.#pairs.length, this.#options.seed, epoch)
    }
    return this.#order[index % this.perEpoch]
  }

  #length(pair: number): number {
    const { prompt, chosen, rejected } = this.#pairs[pair]
    return prompt.length + Math.max(chosen.length, rejected.length) - 1
  }

  #sorted(pairs: readonly number[]): number[] {
    return [...pairs].sort((a, b) => this.#length(a) - this.#length(b) || a - b)
  }

  /** One after the other: all batches of a large set would be many times its size. */
  *#divide(pairs: readonly number[]): Generator<Batch> {
    const sorted = this.#sorted(pairs)
    const size = this.#size
    for (let at = 0; at < sorted.length; at += size) {
      const real = sorted.slice(at, at + size)
      // A batch that is not full repeats a pair, which then does not count.
      const filled = [...real, ...new Array(size - real.length).fill(real[0])]
      const rows = (side: "chosen" | "rejected") =>
        filled.map((index) => {
          const { prompt, [side]: response } = this.#pairs[index]
          return { ids: [...prompt, ...response], isScored: (i: number) => i >= prompt.length }
        })
      const tokens = bucketOf(this.#length(real.at(-1)!), bucket, this.#options.tokens)
      const references = this.#references
      yield {
        ...layOut([...rows("chosen"), ...rows("rejected")], tokens),
        unit: 1 / pairs.length,
        present: Float32Array.from(filled, (_, i) => i < real.length ? 1 : 0),
        ...references.length > 0 && {
          reference: Float32Array.from([
            ...filled.map((index) => references[index].chosen),
            ...filled.map((index) => references[index].rejected),
          ]),
        },
      }
    }
  }
}
