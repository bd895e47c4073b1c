/**
 * What the evaluations have in common: what they are given, and what they write of it: figures with their
 * intervals, texts, and how far they are.
 */
import { mkdirSync } from "node:fs"
import process from "node:process"
import type { Estimate, GuidanceProgress, GuidanceRow, GuidedText, Measure } from "genarm"
import { type Corpus, readCorpus } from "./_corpus.ts"
import { cheerfulness } from "./_scores.ts"
import { independentSentiment } from "./_sentiment.ts"
import { readLexicon } from "./_vader.ts"

/** Command line options that each of them takes. */
export const commonOptions = {
  models: { type: "string" },
  out: { type: "string" },
  lexicon: { type: "string" },
  samples: { type: "string", default: "20" },
} as const

/** What is measured, with what, and where the figures go. */
export interface Evaluation {
  readonly models: string
  readonly out: string
  readonly corpus: Corpus
  /** What pairs were ranked by, and what shares no word list with it. */
  readonly cheer: Measure
  readonly sentiment: Measure
}

/** Reads what the command line names, and makes the folder of the figures. */
export async function openEvaluation(
  { models, out, lexicon }: { readonly [name in "models" | "out" | "lexicon"]?: string },
  stories: readonly string[],
): Promise<Evaluation> {
  if (models === undefined || out === undefined || lexicon === undefined) {
    throw new Error("name --models, --out and a --lexicon in the format of VADER")
  }
  mkdirSync(out, { recursive: true })
  const corpus = await readCorpus(stories)
  const words = readLexicon(lexicon)
  return {
    models,
    out,
    corpus,
    cheer: cheerfulness(words),
    sentiment: independentSentiment(corpus.train.map(({ text }) => text), words),
  }
}

/** A figure with its interval. */
export function print({ value, low, high }: Estimate, digits = 2): string {
  // Adding 0 makes 0 of -0, which rounding leaves behind.
  const [figure, from, to] = [value, low, high].map((number) =>
    (Number(number.toFixed(digits)) + 0).toFixed(digits)
  )
  return `${figure} (${from} to ${to})`
}

/** A row without its texts. */
export function plain({ texts: _, ...row }: GuidanceRow): unknown {
  return row
}

/** The first text of each prompt, unpicked, as Markdown. */
export function quoteTexts(title: string, texts: readonly GuidedText[], samples: number): string {
  const quoted = texts.filter((_, i) => i % samples === 0).slice(0, 10)
    .map(({ prompt, text }) => `> **${prompt}**${text.replaceAll("\n", "\n> ")}\n`)
  return `## ${title}\n\n${quoted.join("\n")}`
}

/** Shows how far a measurement is, on a terminal. */
export function onProgress({ done, total }: GuidanceProgress): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${done} of ${total} texts`)
}
