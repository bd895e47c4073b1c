/**
 * Texts as training batches. In each pass they are joined in a new order and cut into windows of the
 * same length, so that no position is spent on padding; a text may begin in one window and end in the
 * next. For evaluation every text is a row of its own.
 */
import { type Batch, bucketOf, layOut } from "./batch.ts"
import type { BatchSource } from "./batch_source.ts"
import { permutation } from "./permutation.ts"

/** A text as ids: BOS where the tokenizer adds one, EOS where the text ends. */
export type TokenText = ArrayLike<number>

/** How texts are cut. */
export interface TextBatchOptions {
  /** Windows in a step. */
  readonly batch: number
  /** Batches a step is divided into. */
  readonly accumulate: number
  /** Tokens of a window. */
  readonly tokens: number
  readonly seed: number
}

/** Batches of texts, any step of which can be asked for. */
export class TextBatches implements BatchSource {
  readonly examples: number
  /** Windows of one pass. */
  readonly perEpoch: number
  readonly #texts: readonly TokenText[]
  readonly #options: TextBatchOptions
  #epoch = -1
  #order = new Uint32Array()
  /** Where each text of the order begins in the joined stream, and where it ends. */
  #begins = new Float64Array()

  constructor(texts: readonly TokenText[], options: TextBatchOptions) {
    this.#texts = texts
    this.#options = options
    this.examples = texts.length
    const total = texts.reduce((sum, { length }) => sum + length, 0)
    this.perEpoch = Math.floor((total - 1) / options.tokens)
  }

  step(step: number): Batch[] {
    const { batch, accumulate, tokens } = this.#options
    const rows = Array.from({ length: batch }, (_, i) => this.#window(step * batch + i))
    const perBatch = batch / accumulate
    const laidOut = Array.from(
      { length: accumulate },
      (_, i) => layOut(rows.slice(i * perBatch, (i + 1) * perBatch), tokens),
    )
    const scored = laidOut.reduce((sum, { mask }) => sum + count(mask), 0)
    return laidOut.map((part) => ({ ...part, unit: 1 / scored }))
  }

  evaluation(): Batch[] {
    const { batch, accumulate, tokens } = this.#options
    const size = batch / accumulate
    // A text longer than a window goes on in a row of its own, without what stood before.
    const pieces = this.#texts.flatMap((ids) => {
      const all = Array.from(ids)
      const cut: number[][] = []
      for (let at = 0; at + 1 < all.length; at += tokens) cut.push(all.slice(at, at + tokens + 1))
      return cut
    }).sort((a, b) => a.length - b.length)
    const batches: Batch[] = []
    for (let at = 0; at < pieces.length; at += size) {
      const rows = pieces.slice(at, at + size).map((ids) => ({ ids, isScored: () => true }))
      // Rows that fill up the batch score nothing.
      while (rows.length < size) rows.push({ ids: [], isScored: () => true })
      const longest = Math.max(...rows.map(({ ids }) => ids.length - 1))
      const part = layOut(rows, bucketOf(longest, 64, tokens))
      batches.push({ ...part, unit: count(part.mask) })
    }
    const scored = batches.reduce((sum, { unit }) => sum + unit, 0)
    return batches.map((part) => ({ ...part, unit: 1 / scored }))
  }

  #window(index: number): { ids: number[]; isScored: (i: number) => boolean } {
    const epoch = Math.floor(index / this.perEpoch)
    if (epoch !== this.#epoch) this.#arrange(epoch)
    const begins = this.#begins
    const begin = (index % this.perEpoch) * this.#options.tokens
    const ids: number[] = []
    const opening = new Set<number>()
    let text = upperBound(begins, begin) - 1
    for (let at = begin; ids.length <= this.#options.tokens; text++) {
      const source = this.#texts[this.#order[text]]
      let i = at - begins[text]
      if (i === 0) opening.add(ids.length)
      for (; i < source.length && ids.length <= this.#options.tokens; i++, at++) ids.push(source[i])
    }
    // What begins the next text does not follow from this one.
    return { ids, isScored: (i) => !opening.has(i) }
  }

  #arrange(epoch: number): void {
    this.#epoch = epoch
    this.#order = permutation(this.#texts.length, this.#options.seed, epoch)
    this.#begins = new Float64Array(this.#texts.length)
    let at = 0
    this.#order.forEach((text, i) => {
      this.#begins[i] = at
      at += this.#texts[text].length
    })
  }
}

function count(mask: Float32Array): number {
  return mask.reduce((sum, value) => sum + value, 0)
}

/** The index of the first value above `x` in ascending values. */
function upperBound(values: Float64Array, x: number): number {
  let low = 0
  let high = values.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (values[middle] <= x) low = middle + 1
    else high = middle
  }
  return low
}
