/** Proposing tokens and verifying them, for speculative sampling; allocated once for a text. */
import type { GuidedSequence, SequenceModel } from "genarm/plugin"
import { drawFrom, drawRest } from "./_draws.ts"
import { lookUp } from "./_lookup.ts"

/** Drafts of one sequence. */
export class Drafts {
  readonly #sequence: GuidedSequence
  /** `[vocabulary]`: scores of the model that drafts. */
  readonly #scores: Float32Array
  /** For each drafted token the probabilities it was drawn with, `[vocabulary]`. */
  readonly #proposed: Float32Array[] = []
  /** `[vocabulary]`: the guided probabilities. */
  readonly #target: Float32Array

  constructor(sequence: GuidedSequence) {
    this.#sequence = sequence
    this.#scores = new Float32Array(sequence.vocabularySize)
    this.#target = new Float32Array(sequence.vocabularySize)
  }

  /** Tokens that followed the last ones where they stood before. */
  lookUp(count: number): number[] {
    const { promptIds, ids } = this.#sequence
    return count === 0 ? [] : lookUp([...promptIds, ...ids], count)
  }

  /**
   * Tokens that a model would go on with, drawn as the graph's sampler draws. Its log-probabilities are
   * multiplied by the sum of weights, as a product of like distributions is as much sharper than each.
   */
  async propose(model: SequenceModel, count: number): Promise<number[]> {
    const sequence = this.#sequence
    const ids: number[] = []
    while (ids.length < count) {
      await sequence.preview(ids, { only: model })
      model.logProbs(ids.length, this.#scores)
      const sharpness = Math.max(1, sequence.weightSum)
      for (let id = 0; id < this.#scores.length; id++) this.#scores[id] *= sharpness
      const probabilities = this.#proposed[ids.length] ??= new Float32Array(this.#scores.length)
      sequence.probabilities(this.#scores, probabilities)
      ids.push(drawFrom(probabilities, sequence.random.nextUniform()))
    }
    return ids
  }

  /**
   * Accepts tokens one after the other until one is refused, and draws another in its place. Gives how
   * many were accepted; the sequence may have ended.
   *
   * @param isDrawn Whether they were drawn by `propose`; else they are certain guesses.
   */
  async verify(ids: readonly number[], isDrawn: boolean): Promise<number> {
    const sequence = this.#sequence
    const target = this.#target
    for (const [i, id] of ids.entries()) {
      sequence.probabilities(await sequence.evaluate(), target)
      const drawnWith = isDrawn ? this.#proposed[i] : undefined
      const isAccepted = sequence.random.nextUniform() * (drawnWith?.[id] ?? 1) < target[id]
      const chosen = isAccepted
        ? id
        : drawRest(target, drawnWith, id, sequence.random.nextUniform())
      sequence.accept(chosen, Math.log(target[chosen]))
      if (!isAccepted) return i
      if (sequence.ended !== undefined) return i + 1
    }
    return ids.length
  }
}
