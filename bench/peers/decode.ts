/** The peers of the decoding bench, by name, each with the settings that are tried for it. */
import process from "node:process"
import { fileURLToPath } from "node:url"
import type { DecodeTask } from "./_decode_task.ts"
import type { DecodeFiles, ExportName } from "./_decode_files.ts"
import type { GgufFormat } from "./_llama_gguf.ts"
import { type OpenedPeer, openPeer, type PeerCommand, scriptPeer } from "./_open_peer.ts"

/** A peer at one precision. */
export interface DecodeContest {
  readonly name: string
  readonly precision: "f32" | "q4"
  readonly guided: boolean
  /** Texts are drawn, as the peer does by default; where absent each token is the likeliest. */
  readonly sampled?: boolean
  /** Writes what the peer reads; gives a way to open it for each of its settings, likely ones first. */
  candidates(files: DecodeFiles): Promise<(() => Promise<OpenedPeer>)[]>
}

/** Settings of one candidate. */
type Try = Pick<DecodeTask, "threads" | "settings">

const transformersJs = scriptPeer(new URL("./transformers_js_decode.ts", import.meta.url))
const llamaCpp = scriptPeer(new URL("./llama_cpp_decode.ts", import.meta.url))
const torch: PeerCommand = {
  command: process.env.GENARM_PYTHON ?? "python3",
  args: ["-B", fileURLToPath(new URL("./torch_decode.py", import.meta.url))],
}

/** All of them. */
export const decodeContests: readonly DecodeContest[] = [
  transformersJsContest("f32", ["onnx-f32"], false),
  transformersJsContest("q4", ["onnx-q4-acc4", "onnx-q4"], false),
  transformersJsContest("f32", ["onnx-f32"], true),
  transformersJsContest("q4", ["onnx-q4-acc4", "onnx-q4"], true),
  llamaCppContest("llama.cpp", "F32"),
  llamaCppContest("llama.cpp", "Q4_0"),
  llamaCppContest("llama.cpp, its head at 4 bits too", "Q4_0 pure"),
  torchContest({ name: "PyTorch", way: "formula", guided: false }),
  torchContest({ name: "PyTorch, the formula alone", way: "formula", guided: true }),
  torchContest({ name: "official method (PyTorch)", way: "official", guided: true, sampled: true }),
]

function transformersJsContest(
  precision: "f32" | "q4",
  exports: readonly ExportName[],
  guided: boolean,
): DecodeContest {
  const tries = exports.flatMap(guided ? guidedTries : unguidedTries)
  return {
    name: "transformers.js",
    precision,
    guided,
    async candidates(files) {
      for (const name of exports) await files.writeExport(name)
      const { base, arm } = files
      const models = guided ? { base, arm: arm.merged } : { base }
      return openers(transformersJs, { ...models, precision }, tries)
    },
  }
}

function unguidedTries(subfolder: ExportName): Try[] {
  return [
    { threads: 2, settings: { subfolder, spin: "briefly" } },
    { threads: 2, settings: { subfolder, spin: "on" } },
    { threads: 1, settings: { subfolder, spin: "off" } },
  ]
}

/** Threads that go on spinning take the cores from the other session: tried, and far behind. */
function guidedTries(subfolder: ExportName): Try[] {
  return [
    { threads: 2, settings: { subfolder, way: "forward", spin: "briefly" } },
    { threads: 1, settings: { subfolder, way: "overlap", spin: "off" } },
    { threads: 2, settings: { subfolder, way: "overlap", spin: "briefly" } },
    { threads: 2, settings: { subfolder, way: "processor", spin: "briefly" } },
  ]
}

function llamaCppContest(name: string, format: GgufFormat): DecodeContest {
  const precision = format === "F32" ? "f32" : "q4"
  return {
    name,
    precision,
    guided: false,
    async candidates(files) {
      const file = await files.writeGguf(format)
      // Its threads wait for each other by spinning: where cores are shared, one is the fastest.
      const tries = [1, 2].map((threads): Try => ({ threads, settings: { file, format } }))
      return openers(llamaCpp, { base: files.base, precision }, tries)
    },
  }
}

function torchContest(
  { way, ...contest }: Pick<DecodeContest, "name" | "guided" | "sampled"> & {
    readonly way: string
  },
): DecodeContest {
  const tries = [1, 2].map((threads): Try => ({ threads, settings: { way } }))
  return {
    ...contest,
    precision: "f32",
    candidates: ({ base, arm }) => {
      const models = contest.guided ? { base, arm: arm.merged } : { base }
      return Promise.resolve(openers(torch, { ...models, precision: "f32" }, tries))
    },
  }
}

function openers(
  command: PeerCommand,
  models: Omit<DecodeTask, keyof Try>,
  tries: readonly Try[],
): (() => Promise<OpenedPeer>)[] {
  return tries.map((settings) => () => openPeer(command, { ...models, ...settings }))
}
