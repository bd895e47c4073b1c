/**
 * The exact bytes that each id adds to a text, from how the tokenizer spells it. Decoding one id
 * loses what is no whole character; the spelling does not. What is read from the spellings is
 * checked against decoding the whole vocabulary, and where the two differ, decoding is right.
 */
import type { SequenceInfo } from "genarm/plugin"

/** What a tokenizer's spelling means, for `count` ids. */
export interface TokenBytes {
  /** How many ids. */
  readonly count: number
  /** The bytes of all ids, one after the other. */
  readonly bytes: Uint8Array
  /** `[count + 1]`: where the bytes of each id begin; those without text have none. */
  readonly starts: Int32Array
  /** Whether a text without anything before it loses the space it begins with, as in SentencePiece. */
  readonly dropsFirstSpace: boolean
}

/** Ids decoded together; where they do not read as spelled, the halves are looked at. */
const chunk = 512

/** What is known of a tokenizer: that of a sequence, or of a model that a reward reads with. */
export type Vocabulary = Pick<SequenceInfo, "vocabularySize" | "token" | "decode">

/** Reads the bytes of all ids that can be scored. */
export function readTokenBytes(
  { vocabularySize: count, token, decode }: Vocabulary,
): TokenBytes {
  const names = Array.from({ length: count }, (_, id) => token(id))
  // Some tokenizers treat what begins a text in their own way: everything is read after a letter.
  const letter = names.findIndex((name) => /^[a-z]$/i.test(name ?? ""))
  const before = letter < 0 ? [] : [letter]
  const opening = decode(before)
  const textOf = (ids: readonly number[]) => {
    const text = decode([...before, ...ids])
    return text.startsWith(opening) ? text.slice(opening.length) : text
  }
  const spelled = likelier(names, textOf)
  const certain = certainBytes(names, textOf)
  const parts = names.map((name, id) =>
    name === undefined ? nothing : certain.get(id) ?? spelled(name) ?? utf8.encode(name)
  )

  /** Corrects `parts` of ids whose text is not what they spell. */
  const check = (ids: readonly number[]): void => {
    const text = textOf(ids)
    if (ids.length === 0 || text === textOfBytes(joined(ids.map((id) => parts[id])))) return
    if (ids.length > 1) {
      check(ids.slice(0, ids.length >> 1))
      check(ids.slice(ids.length >> 1))
      return
    }
    // Special tokens have no text, and added ones are spelled as they are.
    parts[ids[0]] = text.includes("\uFFFD") ? nothing : utf8.encode(text)
  }
  const unsure = names.flatMap((name, id) => name === undefined || certain.has(id) ? [] : [id])
  for (let at = 0; at < unsure.length; at += chunk) check(unsure.slice(at, at + chunk))

  const starts = new Int32Array(count + 1)
  parts.forEach((part, id) => starts[id + 1] = starts[id] + part.length)
  const spaced = parts.findIndex((part) => part.length > 1 && part[0] === 0x20 && part[1] > 0x20)
  const dropsFirstSpace = spaced >= 0 && !decode([spaced]).startsWith(" ")
  return { count, bytes: joined(parts), starts, dropsFirstSpace }
}

/** The bytes of one id: a view; none where there is no such id. */
export function bytesOf({ bytes, starts, count }: TokenBytes, id: number): Uint8Array {
  return id < count ? bytes.subarray(starts[id], starts[id + 1]) : nothing
}

type Spelling = (name: string) => Uint8Array | undefined

const utf8 = new TextEncoder()
const nothing = new Uint8Array(0)

/** The byte-level alphabet of GPT-2: visible Latin-1 is itself, all else is U+0100 and on. */
const byteOf: ReadonlyMap<string, number> = new Map(byteNames().map((name, byte) => [name, byte]))

function byteNames(): string[] {
  let next = 0x100
  return Array.from({ length: 256 }, (_, byte) => {
    const visible = byte > 0x20 && byte < 0x7f || byte > 0xa0 && byte !== 0xad
    return String.fromCharCode(visible ? byte : next++)
  })
}

const byteLevel: Spelling = (name) => {
  const bytes = [...name].map((letter) => byteOf.get(letter))
  return bytes.includes(undefined) ? undefined : Uint8Array.from(bytes as number[])
}

/** SentencePiece: a space is U+2581. */
const plain: Spelling = (name) => utf8.encode(name.replaceAll("\u2581", " "))

/** The spelling that more of some ids are read right by. */
function likelier(
  names: readonly (string | undefined)[],
  textOf: (ids: readonly number[]) => string,
): Spelling {
  const step = Math.max(1, Math.floor(names.length / 256))
  let votes = 0
  for (let id = 0; id < names.length; id += step) {
    const name = names[id]
    if (name === undefined) continue
    const [level, piece] = [byteLevel(name), plain(name)].map((bytes) =>
      bytes && textOfBytes(bytes)
    )
    if (level === piece) continue
    const text = textOf([id])
    if (text === level) votes++
    if (text === piece) votes--
  }
  return votes > 0 ? byteLevel : plain
}

/** Ids that stand for one byte each, such as `<0x0A>`, where such names mean that. */
function certainBytes(
  names: readonly (string | undefined)[],
  textOf: (ids: readonly number[]) => string,
): Map<number, Uint8Array> {
  const found = new Map<number, Uint8Array>()
  names.forEach((name, id) => {
    const digits = /^<0x([0-9A-Fa-f]{2})>$/.exec(name ?? "")?.[1]
    if (digits !== undefined) found.set(id, Uint8Array.of(parseInt(digits, 16)))
  })
  for (const [id, [byte]] of found) {
    if (byte > 0x20 && byte < 0x7f) {
      return textOf([id]) === String.fromCharCode(byte) ? found : new Map()
    }
  }
  return found
}

/** Bytes one after the other. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

// A byte order mark is text here: it is not the beginning that is read.
const fromUtf8 = new TextDecoder("utf-8", { ignoreBOM: true })

function textOfBytes(bytes: Uint8Array): string {
  return fromUtf8.decode(bytes)
}
