/** A guided text over rules, without models, batches or caches: thousands of texts in a second. */
import type { GuidedSequence, StrategyPlugin } from "genarm/plugin"
import { randomStream } from "genarm/math"
import type { Rule } from "./_rules.ts"

/** What is written, and how long it may become. */
export interface ToyText {
  readonly prompt: readonly number[]
  readonly eos: number
  readonly maxTokens: number
  /** `e^score` of each id, not normalised. */
  readonly rule: Rule
  readonly temperature?: number
}

const never = (): never => {
  throw new Error("no part of a toy")
}

/** A sequence of such a text. */
export class ToySequence implements GuidedSequence {
  readonly vocabularySize: number
  readonly ids: number[] = []
  readonly random: ReturnType<typeof randomStream>
  readonly models = {}
  readonly weights = {}
  readonly weightSum = 1
  readonly #text: ToyText

  constructor(text: ToyText, seed: number) {
    this.#text = text
    this.random = randomStream(seed)
    this.vocabularySize = text.rule(text.prompt).length
  }

  get promptIds(): readonly number[] {
    return this.#text.prompt
  }

  get base(): never {
    return never()
  }

  get room(): number {
    return this.#text.maxTokens - this.ids.length
  }

  get ended(): "eos" | "length" | undefined {
    if (this.ids.at(-1) === this.#text.eos) return "eos"
    return this.room === 0 ? "length" : undefined
  }

  evaluate(): Promise<Float32Array> {
    const row = this.#text.rule([...this.promptIds, ...this.ids])
    return Promise.resolve(Float32Array.from(row, Math.log))
  }

  probabilities(scores: Float32Array, out: Float32Array): void {
    const { temperature = 1 } = this.#text
    let sum = 0
    scores.forEach((score, id) => sum += out[id] = Math.exp(score / temperature))
    for (let id = 0; id < out.length; id++) out[id] /= sum
  }

  accept(id: number): void {
    this.ids.push(id)
  }

  fork(): ToySequence {
    const copy = new ToySequence(this.#text, this.random.nextUint32())
    copy.ids.push(...this.ids)
    return copy
  }

  close(): void {}
  step: () => never = never
  preview: () => never = never
  rewards: () => never = never
  rewind: () => never = never
}

/** The texts of a strategy for seeds from 0 on, as shares of all, by their ids joined by spaces. */
export async function toyTexts<Input>(
  { definition: { run } }: StrategyPlugin<Input>,
  options: Input,
  text: ToyText,
  samples: number,
): Promise<Map<string, number>> {
  const found = new Map<string, number>()
  for (let seed = 0; seed < samples; seed++) {
    let last: GuidedSequence | undefined
    for await (last of run(options, new ToySequence(text, seed)));
    const key = last!.ids.join(" ")
    found.set(key, (found.get(key) ?? 0) + 1 / samples)
  }
  return found
}
