/**
 * Preference pairs from samples: of the texts that go on from one prompt, those that differ most in
 * rank are paired, each text once, as long as they differ by enough. Only texts that came to their end
 * are ranked, and only texts of like length are paired: an ARM's reward is a sum over tokens, so
 * pairs that differ in length would teach it length first.
 *
 *     deno run -A examples/train/make_preferences.ts --samples texts.jsonl --out pairs.jsonl \
 *       --by cheerful --lexicon vader_lexicon.txt [--gap 0.3] [--most 1000]
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
  if (values.by === "dialogue") return { score: dialogue, gap: 0.06 }
  if (values.by === "plain") return { score: plainness, gap: 3 }
  if (values.by === "cheerful" && values.lexicon !== undefined) {
    return { score: cheerfulness(readLexicon(values.lexicon)), gap: 0.3 }
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
/** Whether neither text is longer than the other by more than a quarter. */
const isLike = (a: string, b: string) =>
  Math.max(a.length, b.length) <= 1.25 * Math.min(a.length, b.length)

const pairs: PreferencePair[] = []
for (const [prompt, texts] of byPrompt) {
  const candidates = texts.flatMap((chosen) =>
    texts.filter((rejected) =>
      chosen.score - rejected.score >= gap && isLike(chosen.text, rejected.text)
    ).map((rejected) => ({ chosen, rejected }))
  ).sort((a, b) => b.chosen.score - b.rejected.score - (a.chosen.score - a.rejected.score))
  const used = new Set<unknown>()
  for (const { chosen, rejected } of candidates) {
    if (used.has(chosen) || used.has(rejected)) continue
    used.add(chosen).add(rejected)
    pairs.push({ prompt, chosen: chosen.text, rejected: rejected.text })
  }
}
if (values.most !== undefined) pairs.length = Math.min(pairs.length, Number(values.most))
writeFileSync(out, pairs.map((pair) => JSON.stringify(pair) + "\n").join(""))
say(`${pairs.length} pairs from ${byPrompt.size} prompts`)
