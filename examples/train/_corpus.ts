/** The stories that the models of `examples/models` learn from, and those held out from all of them. */
import { type CorpusText, readTexts, splitHeldOut } from "genarm/train"

/** Stories, 5 % of them held out by story. */
export interface Corpus {
  readonly train: readonly CorpusText[]
  readonly heldOut: readonly CorpusText[]
}

/** Reads corpus files; the split depends on the stories alone. */
export async function readCorpus(files: readonly string[]): Promise<Corpus> {
  const stories: (CorpusText & { readonly prompt: string })[] = []
  for (const file of files) {
    for await (const text of readTexts(file)) stories.push({ ...text, prompt: text.text })
  }
  return splitHeldOut(stories, 0.05, 0)
}

/** The first sentences of stories, each once. */
export function openingsOf(stories: readonly CorpusText[]): string[] {
  const first = stories.map(({ text }) => text.match(/^[^\n]{20,120}?[.!?](?=\s)/)?.[0])
  return [...new Set(first.filter((sentence) => sentence !== undefined))]
}
