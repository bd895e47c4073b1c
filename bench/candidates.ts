import { arm, crossTokenizer, defineGraph, openPipeline, type Pipeline, scorer } from "genarm"
import type { PluginNode } from "genarm/plugin"
import { model } from "../examples/_models.ts"
import { median, spread } from "./_statistics.ts"
import { type BenchTable, printTable } from "./_table.ts"
import { interleave } from "./_timing.ts"

const tokens = 60
const threads = 2
const prompt = "Once upon a time there was"

/** Times guidance by the likeliest tokens beside guidance by rows of the same model's size. */
export async function candidates({ quick }: { quick: boolean }): Promise<BenchTable> {
  const bytes = (count: number) =>
    crossTokenizer({ of: arm({ model: model("cheerful-bytes") }), candidates: count })
  const rewards: Record<string, PluginNode<"reward"> | undefined> = {
    "none": undefined,
    "`arm`, a row over the vocabulary": arm({ model: model("cheerful-small") }),
    "`scorer`, a function of 20 texts": scorer({ score: (text) => -text.length / 100 }),
    "`crossTokenizer`, 8 candidates by bytes": bytes(8),
    "`crossTokenizer`, 32 candidates by bytes": bytes(32),
  }
  const pipelines: Pipeline[] = []
  try {
    for (const reward of Object.values(rewards)) {
      const graph = defineGraph({
        base: model("base"),
        ...reward !== undefined && { rewards: { reward: { reward, weight: 0.5 } } },
      })
      pipelines.push(await openPipeline(graph, { threads, onProgress: () => {} }))
    }
    let seed = 0
    const sides = pipelines.map((pipeline) => async () => {
      const start = performance.now()
      const { ids } = await pipeline.generate(prompt, { maxTokens: tokens, seed: seed++ })
      return (performance.now() - start) / ids.length
    })
    const times = await interleave(sides, quick ? 5 : 25)
    const ratios = times.map((side) => side.map((time, round) => time / times[1][round]))
    return {
      question: "What does a reward on the likeliest tokens cost? (embedded base and rewards)",
      columns: ["reward", "ms/token", "to `arm`"],
      rows: Object.keys(rewards).map((name, i) => [
        name,
        median(times[i]).toFixed(2),
        spread(ratios[i], 2),
      ]),
      notes: [
        `Texts of ${tokens} tokens, ${threads} threads, in turn; medians, with quartiles of the ratios. ` +
        "Both reward models have 0.6 million weights; a step by bytes runs each candidate's bytes.",
      ],
    }
  } finally {
    for (const pipeline of pipelines) await pipeline.close()
  }
}

if (import.meta.main) printTable(await candidates({ quick: false }))
