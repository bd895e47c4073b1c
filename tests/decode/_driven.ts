/** Graphs whose strategy is a function of the test's own. */
import {
  defineStrategy,
  type GenerateOptions,
  type Generation,
  type GraphSpec,
  type GuidedSequence,
  type Prompt,
} from "genarm"
import { open, type Watched } from "./_pipelines.ts"

/** What a strategy does with a sequence that has, perhaps, a model called "draft". */
export type Drive = (sequence: GuidedSequence<"draft">) => AsyncIterable<GuidedSequence>

/** A strategy called "driven"; `draft` is the model that it has of its own. */
export function driven(run: Drive, draft?: string): GraphSpec["strategy"] & object {
  return defineStrategy<"draft">({
    name: "driven",
    sources: () => (draft === undefined ? {} : { draft: { model: draft } }) as never,
    run: (_, sequence) => run(sequence),
  })()
}

/** Steps to the end. */
export async function finish<S extends GuidedSequence>(sequence: S): Promise<S> {
  while (sequence.ended === undefined) await sequence.step()
  return sequence
}

/** What drives one text. */
export interface Driven extends GenerateOptions {
  readonly spec?: Partial<GraphSpec>
  readonly draft?: string
  readonly prompt?: Prompt
}

/** Generates with a strategy that does something first, and then steps to the end. */
export async function drive(
  models: Watched,
  first: (sequence: GuidedSequence<"draft">) => Promise<GuidedSequence | void>,
  { spec = {}, draft, prompt = "a", ...request }: Driven = {},
): Promise<Generation> {
  const strategy = driven(async function* (sequence) {
    yield await finish(await first(sequence) ?? sequence)
  }, draft)
  await using pipeline = await open(models, { ...spec, strategy })
  return await pipeline.generate(prompt, { maxTokens: 10, seed: 1, ...request })
}
