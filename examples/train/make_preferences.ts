/**
 * Preference pairs from samples: of the texts that go on from one prompt, the highest-ranked is
 * preferred to the lowest, the second to the second lowest, and so on, as long as they differ by
 * enough. Only texts that came to their end are ranked.
 *
 *     deno run -A examples/train/make_preferences.ts --samples texts.jsonl --out pairs.jsonl \
 *       --by cheerful --lexicon vader_lexicon.txt [--gap 0.5] [--most 1000]
 *     deno run -A examples/train/make_preferences.ts --samples texts.jsonl --out pairs.jsonl --by dialogue | plain
 */
import { readFileSync, writeFileSync } from "node:fs"
import process from "node:process"
import { parseArgs } from "node:util"
import type { PreferencePair } from "genarm/train"
import { cheerfulness, dialogue, plainness, type TextScore } from "./_scores.ts"
import { readLexicon } from "./_vader.ts"

const say = (text: string) => process.stderr.write(`${text}\n`)

const { values } = parseArgs({
  options: {
    samples: { type: "string" },
    out: { type: "string" },
    by: { type: "string" },
    lexicon: { type: "string" },
    gap: { type: "string" },
    most: { type: "string" },
  },
})
const { samples, out } = values
if (samples === undefined || out === undefined) {
  throw new Error("name the samples with --samples and a file to write with --out")
}

/** The score, and by how much two texts must differ where --gap does not say. */
function ranking(): { readonly score: TextScore; readonly gap: number } {
  if (values.by === "dialogue") return { score: dialogue, gap: 0.1 }
  if (values.by === "plain") return { score: plainness, gap: 2 }
  if (values.by === "cheerful" && values.lexicon !== undefined) {
    return { score: cheerfulness(readLexicon(values.lexicon)), gap: 0.5 }
  }
  throw new Error(
    "rank --by dialogue, --by plain, or --by cheerful with a --lexicon in the format of VADER",
  )
}

interface Sample {
  readonly prompt: string
  readonly text: string
  readonly complete: boolean
}

const { score, gap: usualGap } = ranking()
const gap = values.gap === undefined ? usualGap : Number(values.gap)
const byPrompt = new Map<string, { text: string; score: number }[]>()
for (const line of readFileSync(samples, "utf8").split("\n").filter((line) => line !== "")) {
  const { prompt, text, complete }: Sample = JSON.parse(line)
  if (!complete) continue
  const texts = byPrompt.get(prompt) ?? []
  byPrompt.set(prompt, texts)
  texts.push({ text, score: score(text) })
}
const pairs: PreferencePair[] = []
for (const [prompt, texts] of byPrompt) {
  texts.sort((a, b) => b.score - a.score)
  for (let i = 0; i < Math.floor(texts.length / 2); i++) {
    const [chosen, rejected] = [texts[i], texts[texts.length - 1 - i]]
    if (chosen.score - rejected.score < gap) break
    pairs.push({ prompt, chosen: chosen.text, rejected: rejected.text })
  }
}
if (values.most !== undefined) pairs.length = Math.min(pairs.length, Number(values.most))
writeFileSync(out, pairs.map((pair) => JSON.stringify(pair) + "\n").join(""))
say(`${pairs.length} pairs from ${byPrompt.size} prompts`)
