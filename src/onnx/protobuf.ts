/**
 * Writing protocol buffers: the three wire types that an ONNX model needs.
 * https://protobuf.dev/programming-guides/encoding/
 */

const utf8 = new TextEncoder()

/** One message, built field by field and joined into bytes at the end. */
export class ProtobufMessage {
  readonly #parts: Uint8Array[] = []
  #length = 0

  /** An integer field (wire type 0); negative numbers take ten bytes, as the format asks. */
  integer(field: number, value: number | bigint): this {
    return this.#varint(field << 3).#varint(value)
  }

  /** A 32-bit float field (wire type 5). */
  float(field: number, value: number): this {
    return this.#varint((field << 3) | 5).#push(new Uint8Array(Float32Array.of(value).buffer))
  }

  /** A field of bytes (wire type 2); they are kept by reference until `encode`. */
  bytes(field: number, value: Uint8Array): this {
    return this.#varint((field << 3) | 2).#varint(value.length).#push(value)
  }

  /** A field of text. */
  text(field: number, value: string): this {
    return this.bytes(field, utf8.encode(value))
  }

  /** A field that holds another message. */
  message(field: number, value: ProtobufMessage): this {
    this.#varint((field << 3) | 2).#varint(value.#length)
    for (const part of value.#parts) this.#push(part)
    return this
  }

  /** The bytes of the whole message. */
  encode(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.#length)
    let offset = 0
    for (const part of this.#parts) {
      bytes.set(part, offset)
      offset += part.length
    }
    return bytes
  }

  #push(part: Uint8Array): this {
    this.#parts.push(part)
    this.#length += part.length
    return this
  }

  #varint(value: number | bigint): this {
    const bytes: number[] = []
    let rest = BigInt.asUintN(64, BigInt(value))
    do {
      const low = Number(rest & 0x7fn)
      rest >>= 7n
      bytes.push(rest === 0n ? low : low | 0x80)
    } while (rest !== 0n)
    return this.#push(Uint8Array.from(bytes))
  }
}
