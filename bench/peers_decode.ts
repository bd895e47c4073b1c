/** Our texts beside those of programs that one would otherwise run, on the same weights. */
import { parseArgs } from "node:util"
import { contestColumns, type ContestSize, contestTitle, runContest } from "./peers/_contest.ts"
import { writeDecodeFiles } from "./peers/_decode_files.ts"
import { decodeContests } from "./peers/decode.ts"
import { type Aim, aimAt } from "./_aims.ts"
import type { ModelSize } from "./_random_model.ts"
import { type BenchTable, printTable } from "./_table.ts"

/** Ids that stand for a prompt. */
const prompt = Array.from({ length: 16 }, (_, i) => (i * 131 + 7) % 256)

/**
 * Times texts of each peer and ours in turn: a peer is a process that stays open, asked for one text
 * at a time.
 */
export async function peersDecode(
  { quick, size = quick ? "15M" : "135M", only = "" }: {
    quick: boolean
    size?: ModelSize
    /** A part of the titles of the contests that are wanted. */
    only?: string
  },
): Promise<BenchTable> {
  await using files = await writeDecodeFiles(size)
  const contestSize: ContestSize = quick
    ? { text: { prompt, tokens: 24 }, rounds: 4, tries: 1 }
    : { text: { prompt, tokens: 32 }, rounds: 6, tries: 3 }
  const { rounds, text: { tokens } } = contestSize
  const rows: (string | number)[][] = []
  const notes = [
    `Random weights of ${size}, the same in all; prompts of ${prompt.length} ids, texts of ` +
    `${tokens} tokens, milliseconds of a token after the first; ${rounds} rounds in which all ` +
    "sides write in turn, after a warm-up; start-up is not timed. Peer / ours is that of " +
    "neighbouring texts, with its quartiles. Each side has the fastest of the settings tried for it, " +
    "threads among them; a quick run tries one, which is usually the fastest.",
    "The reward of the peers is a model in full; ours is the same model as an adapter on the base, " +
    "or in full.",
    "Same ids: how many of the first ids are ours where both choose the likeliest token; with " +
    "float32 weights all should be. At 4 bits each has its own scales, and random weights part soon. " +
    "Ours and Q4_0 keep the head in 8 bits; exports to ONNX keep it in 4, and so read fewer bytes.",
  ]
  for (const contest of decodeContests) {
    if (!contestTitle(contest).includes(only)) continue
    const result = await runContest(files, contest, contestSize)
    rows.push(...result.rows)
    notes.push(result.note)
  }
  return {
    question: `How fast is it beside what one would otherwise run? (${size} weights)`,
    columns: contestColumns,
    rows,
    aims: aimsOf(rows, size),
    notes,
  }
}

/** The least that was aimed at, as peer / ours. */
function aimsOf(rows: readonly (readonly (string | number)[])[], size: string): Aim[] {
  const wanted: [peer: string, ours: string, aim: number][] = [
    ["official method (PyTorch)", "with an adapter", 3],
    ["transformers.js", "with an adapter", 1.6],
    ["transformers.js", "unguided", 1],
    ["llama.cpp", "unguided", 1],
  ]
  return wanted.flatMap(([peer, ours, aim]) =>
    rows.filter((row) => row[0] === peer && row[2] === ours).map((row) =>
      aimAt(`${peer}, ${row[1]}, ${size}, ours ${ours}: peer / ours`, row[5], "higher", aim)
    )
  )
}

if (import.meta.main) {
  const { values: options } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      only: { type: "string" },
      size: { type: "string" },
    },
  })
  const { quick, only, size } = options
  printTable(
    await peersDecode({
      quick,
      ...only !== undefined && { only },
      ...size !== undefined && { size: size as ModelSize },
    }),
  )
}
