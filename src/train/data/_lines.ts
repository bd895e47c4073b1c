/**
 * The lines of a text file as a stream, unpacked on the way where the file is gzip (by its first
 * bytes, whatever its name). Lines end in "\n" or "\r\n" and nothing else, as JSON may hold U+2028
 * in its strings. Whatever is wrong with the file is an `InvalidDataFile` that names it.
 */
import { createReadStream } from "node:fs"
import { open, stat } from "node:fs/promises"
import { pipeline } from "node:stream"
import { createGunzip } from "node:zlib"
import { messageOf } from "../../errors.ts"
import { invalidData } from "./_invalid_data.ts"

/** One line of a file. */
export interface Line {
  /** Its text, without what ends it. */
  readonly line: string
  /** Its number, from 1. */
  readonly number: number
}

/**
 * Reads a file of UTF-8 text line by line, from the start for every iteration; the file is closed
 * when an iteration ends, early or not. A byte order mark is no part of the first line, and the end
 * of the last line begins no further one.
 */
export async function* readLines(path: string): AsyncGenerator<Line, void, undefined> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
  let number = 0
  const decode = (bytes: Uint8Array): Line => {
    number++
    const end = bytes.at(-1) === carriageReturn ? bytes.length - 1 : bytes.length
    const begin = number === 1 && startsWithMark(bytes) ? 3 : 0
    try {
      return { line: decoder.decode(bytes.subarray(begin, end)), number }
    } catch (error) {
      throw invalidData(path, "is not UTF-8 text", { line: number, cause: error })
    }
  }
  // Pieces of a line whose end is still to come.
  let pieces: Uint8Array[] = []
  for await (const chunk of readBytes(path)) {
    let begin = 0
    for (let end; (end = chunk.indexOf(lineFeed, begin)) >= 0; begin = end + 1) {
      pieces.push(chunk.subarray(begin, end))
      yield decode(join(pieces))
      pieces = []
    }
    if (begin < chunk.length) pieces.push(chunk.subarray(begin))
  }
  if (pieces.length > 0) yield decode(join(pieces))
}

const lineFeed = 10
const carriageReturn = 13

/** Bytes read at a time. */
const chunkBytes = 1 << 18

async function* readBytes(path: string): AsyncGenerator<Uint8Array, void, undefined> {
  const zipped = await isGzip(path)
  const file = createReadStream(path, { highWaterMark: chunkBytes })
  // The callback takes the errors, which come out of the iteration as well.
  const bytes = zipped ? pipeline(file, createGunzip({ chunkSize: chunkBytes }), () => {}) : file
  try {
    for await (const chunk of bytes) yield chunk as Uint8Array
  } catch (error) {
    const what = zipped
      ? "cannot be unpacked: it is cut off or damaged, fetch it again"
      : "cannot be read"
    throw invalidData(path, `${what}: ${messageOf(error)}`, { cause: error })
  } finally {
    bytes.destroy()
    file.destroy()
  }
}

async function isGzip(path: string): Promise<boolean> {
  try {
    if ((await stat(path)).isDirectory()) throw new Error("it is a folder, expected a file")
    const file = await open(path, "r")
    try {
      const magic = new Uint8Array(2)
      const { bytesRead } = await file.read(magic, 0, 2, 0)
      return bytesRead === 2 && magic[0] === 0x1f && magic[1] === 0x8b
    } finally {
      await file.close()
    }
  } catch (error) {
    throw invalidData(path, `cannot be read: ${messageOf(error)}`, { cause: error })
  }
}

function startsWithMark(bytes: Uint8Array): boolean {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf
}

function join(pieces: readonly Uint8Array[]): Uint8Array {
  if (pieces.length === 1) return pieces[0]
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}
