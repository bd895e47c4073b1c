/**
 * Whether the files of weights in a model's folder are still those from which something was
 * computed. Their sizes and times tell at once; where the times differ, as in a copy or an unpacked
 * image, their contents decide.
 */
import { open, stat } from "node:fs/promises"
import { join } from "node:path"
import { crc32 } from "node:zlib"
import { tensorFiles } from "./model_folder.ts"

/** One file as it was. */
export interface SourceFile {
  readonly name: string
  readonly bytes: number
  /** Last write of the contents: milliseconds since 1970. */
  readonly modified: number
  /** Last change of contents, owner or name: seconds, as not every runtime tells more. */
  readonly changed: number
}

/** The files of weights of a folder as they are now. */
export async function sourceFiles(folder: string): Promise<SourceFile[]> {
  return await Promise.all((await tensorFiles(folder)).map(async (name) => {
    const { size, mtimeMs, ctimeMs } = await stat(join(folder, name))
    return {
      name,
      bytes: size,
      modified: Math.floor(mtimeMs),
      changed: Math.floor(ctimeMs / 1000),
    }
  }))
}

/** Whether nothing tells that two looks saw different files. */
export function isSame(a: readonly SourceFile[], b: readonly SourceFile[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

/** CRC-32 of the contents of all files, one after the other. */
export async function contentsOf(folder: string, files: readonly SourceFile[]): Promise<number> {
  let sum = 0
  const chunk = new Uint8Array(1 << 24)
  for (const { name } of files) {
    const file = await open(join(folder, name), "r")
    try {
      for (;;) {
        const { bytesRead } = await file.read(chunk, 0, chunk.length, null)
        if (bytesRead === 0) break
        sum = crc32(chunk.subarray(0, bytesRead), sum)
      }
    } finally {
      await file.close()
    }
  }
  return sum
}
