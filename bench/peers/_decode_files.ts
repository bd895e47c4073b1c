/** The files of the decoding bench: the same random weights in the format of each peer. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { writeRandomAdapter } from "../_random_adapter.ts"
import { type ModelSize, writeRandomModel } from "../_random_model.ts"
import { type GgufFormat, writeLlamaGguf } from "./_llama_gguf.ts"
import { type ExportFormat, writeOnnxExport } from "./_onnx_export.ts"
import { writeMergedModel } from "./_merged_model.ts"

/** Exports by the names of their subfolders. */
const exports = {
  "onnx-f32": { bits: 32 },
  "onnx-q4": { bits: 4, accuracyLevel: 0 },
  "onnx-q4-acc4": { bits: 4, accuracyLevel: 4 },
} as const satisfies Record<string, ExportFormat>

/** The name of an export. */
export type ExportName = keyof typeof exports

/** Folders and files, removed when disposed of. */
export interface DecodeFiles extends AsyncDisposable {
  /** The base, as safetensors. */
  readonly base: string
  /** The reward model as an adapter on the base, and in full. */
  readonly arm: { readonly adapter: string; readonly merged: string }
  /** Writes an export of both models beside their safetensors, where there is none. */
  writeExport(name: ExportName): Promise<void>
  /** Writes the base as GGUF, where that has not been done; gives the file. */
  writeGguf(format: GgufFormat): Promise<string>
}

/** Writes the models; other formats are written when they are asked for. */
export async function writeDecodeFiles(size: ModelSize): Promise<DecodeFiles> {
  await using stack = new AsyncDisposableStack()
  const base = stack.use(await writeRandomModel(size, { context: 1024 })).folder
  const adapter = stack.use(await writeRandomAdapter(base, 2)).folder
  const folder = await mkdtemp(join(tmpdir(), "genarm-bench-"))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const merged = join(folder, "merged")
  await writeMergedModel(base, adapter, merged)
  const written = new Map<string, Promise<void>>()
  const once = (name: string, write: () => Promise<void>) => {
    const known = written.get(name) ?? write()
    written.set(name, known)
    return known
  }
  const owned = stack.move()
  return {
    base,
    arm: { adapter, merged },
    writeExport: (name) =>
      once(name, async () => {
        for (const path of [base, merged]) await writeOnnxExport(path, name, exports[name])
      }),
    async writeGguf(format) {
      const file = join(folder, `${format}.gguf`)
      await once(file, () => writeLlamaGguf(base, file, format))
      return file
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
