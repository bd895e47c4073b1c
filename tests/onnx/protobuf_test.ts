import { assertEquals } from "@std/assert"
import { describe, it } from "node:test"
import { ProtobufMessage } from "../../src/onnx/protobuf.ts"

const hex = (message: ProtobufMessage) =>
  Array.from(message.encode(), (byte) => byte.toString(16).padStart(2, "0")).join(" ")

const message = () => new ProtobufMessage()

describe("a protocol buffer", () => {
  // The first, the text and the nested one are the examples of the format's own page.
  const golden: readonly (readonly [what: string, found: ProtobufMessage, bytes: string])[] = [
    ["holds an integer", message().integer(1, 150), "08 96 01"],
    ["holds zero", message().integer(1, 0), "08 00"],
    ["holds the largest of one byte", message().integer(2, 127), "10 7f"],
    ["holds the smallest of two bytes", message().integer(2, 128), "10 80 01"],
    ["holds 2^53 - 1", message().integer(1, 2 ** 53 - 1), "08 ff ff ff ff ff ff ff 0f"],
    ["holds 2^63 - 1", message().integer(1, 2n ** 63n - 1n), "08 ff ff ff ff ff ff ff ff 7f"],
    ["holds -1 in ten bytes", message().integer(1, -1), "08 ff ff ff ff ff ff ff ff ff 01"],
    ["holds a float", message().float(1, -1.5), "0d 00 00 c0 bf"],
    ["holds text", message().text(2, "testing"), "12 07 74 65 73 74 69 6e 67"],
    [
      "holds text of more than one byte a letter",
      message().text(1, "é😀"),
      "0a 06 c3 a9 f0 9f 98 80",
    ],
    ["holds empty bytes", message().bytes(1, new Uint8Array(0)), "0a 00"],
    ["holds a message", message().message(3, message().integer(1, 150)), "1a 03 08 96 01"],
    ["holds fields above 15", message().integer(20, 1), "a0 01 01"],
    ["holds nothing", message(), ""],
  ]
  for (const [what, found, bytes] of golden) it(what, () => assertEquals(hex(found), bytes))

  it("keeps its fields in order, and counts those of the messages inside", () => {
    const inner = message().text(1, "x".repeat(200))
    const outer = message().integer(1, 1).message(2, inner).integer(3, 2)
    const bytes = outer.encode()
    assertEquals([...bytes.subarray(0, 5)], [0x08, 1, 0x12, 203, 1])
    assertEquals([...bytes.subarray(5, 8)], [0x0a, 200, 1])
    assertEquals([...bytes.subarray(-2)], [0x18, 2])
    assertEquals(bytes.length, 2 + 3 + 203 + 2)
  })
})
