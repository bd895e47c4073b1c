/**
 * How a byte-level `tokenizer.json` spells bytes: a visible Latin-1 character is itself, any other
 * byte is the next character from U+0100 on, so that a space is `Ġ`. The table is that of GPT-2.
 */

/** The character of every byte. */
export const byteNames: readonly string[] = nameBytes()

function nameBytes(): string[] {
  const names: string[] = []
  let next = 0x100
  for (let byte = 0; byte < 256; byte++) {
    const visible = byte > 0x20 && byte < 0x7f || byte > 0xa0 && byte !== 0xad
    names.push(String.fromCharCode(visible ? byte : next++))
  }
  return names
}
