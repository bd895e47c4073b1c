/** Bytes to text as they come: those of a character that is not whole yet are held back. */

/** Text, and bytes at its end that are no character yet. */
export interface HeldText {
  readonly text: string
  readonly held: Uint8Array
}

/** No bytes. */
export const nothingHeld: Uint8Array = new Uint8Array(0)

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true })

/** The text of bytes that come after those held back; what is no UTF-8 becomes U+FFFD. */
export function heldText(held: Uint8Array, bytes: Uint8Array): HeldText {
  let all = bytes
  if (held.length > 0) {
    all = new Uint8Array(held.length + bytes.length)
    all.set(held)
    all.set(bytes, held.length)
  }
  const end = all.length - missing(all)
  return {
    text: utf8.decode(end === all.length ? all : all.subarray(0, end)),
    held: end === all.length ? nothingHeld : all.slice(end),
  }
}

/** How many bytes at the end begin a character that needs more. */
function missing(bytes: Uint8Array): number {
  for (let count = 1; count <= 3 && count <= bytes.length; count++) {
    const byte = bytes[bytes.length - count]
    if (byte < 0x80) return 0
    if (byte < 0xc0) continue
    const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2
    return count < needed ? count : 0
  }
  return 0
}

/** Whether bytes begin and end with whole characters, so that neighbours do not change their text. */
export function isWhole(bytes: Uint8Array): boolean {
  return bytes.length > 0 && (bytes[0] & 0xc0) !== 0x80 && missing(bytes) === 0
}
