import { assert, assertEquals } from "@std/assert"
import { describe, it } from "node:test"
import { tokenBytes } from "../../../plugins/rewards/_known_tokens.ts"
import { bytesOf, readTokenBytes, type TokenBytes } from "../../../plugins/rewards/_token_bytes.ts"
import { drawIds, sequenceIn, sequenceOf, tokenizers } from "./_sequences.ts"

const textOf = (tokens: TokenBytes, ids: readonly number[]): string =>
  new TextDecoder().decode(Uint8Array.from(ids.flatMap((id) => [...bytesOf(tokens, id)])))

const texts = [
  "Once upon a time, there was a little girl.",
  "naïve café — “quoted” … 日本語 🙂🇫🇷 \t tabs\n\nand lines",
  "  two spaces, trailing  ",
  'code: if (x <= 10) { return "\\u0041" }',
]

describe("the bytes of tokens", () => {
  for (const [path, options] of tokenizers) {
    const name = path.split("/").at(-1)

    it(`give every text back, in ${name}`, options, async () => {
      const sequence = await sequenceIn(path)
      const tokens = readTokenBytes(sequence)
      for (const text of texts) assertEquals(textOf(tokens, sequence.encode(text)), text)
    })

    it(`agree with decoding any ids, in ${name}`, options, async () => {
      const sequence = await sequenceIn(path)
      const tokens = readTokenBytes(sequence)
      const [letter] = sequence.encode("a")
      const isByte = (id: number) => /^<0x..>$/.test(sequence.token(id)!)
      for (let seed = 0; seed < 50; seed++) {
        const drawn = drawIds(seed, tokens.count, 12)
        const ids = [letter, ...drawn.filter((id) => !isByte(id))]
        assertEquals(textOf(tokens, ids), sequence.decode(ids))
      }
    })

    it(`are none for special tokens, in ${name}`, options, async () => {
      const sequence = await sequenceIn(path)
      const tokens = readTokenBytes(sequence)
      for (const id of sequence.eos) assertEquals(bytesOf(tokens, id).length, 0)
      const without = Array.from({ length: tokens.count }, (_, id) => id)
        .filter((id) => tokens.starts[id] === tokens.starts[id + 1])
      assert(without.length > 0 && without.length <= 4, `${without.length} have none`)
      assertEquals(sequence.decode(without), "")
    })
  }

  it("know whether a text drops the space it begins with", async () => {
    const drops = async (path: string) => readTokenBytes(await sequenceIn(path)).dropsFirstSpace
    assertEquals(await drops(tokenizers[0][0]), false)
    assertEquals(await drops(tokenizers[2][0]), true)
  })

  it("are read from names written down, one byte each where they say so", () => {
    const tokens = readTokenBytes(sequenceOf(["a", "<end>", "<0xC3>", "<0xA9>", "é!", " the"]))
    const bytes = [0, 1, 2, 3, 4, 5].map((id) => [...bytesOf(tokens, id)])
    assertEquals(bytes, [[97], [], [0xc3], [0xa9], [0xc3, 0xa9, 33], [32, 116, 104, 101]])
  })

  it("are what decoding says where a name means something else", () => {
    const names = ["a", "b", "<tool>", "x"]
    const texts = ["a", "b", "<tool>", ""]
    const decode = (ids: readonly number[]) => ids.map((id) => texts[id]).join("")
    const tokens = readTokenBytes({ ...sequenceOf(names), decode })
    assertEquals(textOf(tokens, [0, 2, 1]), "a<tool>b")
    assertEquals(bytesOf(tokens, 3).length, 0)
  })

  it("are shared by sequences of one tokenizer, and by no other", () => {
    const names = ["a", "b", "<end>"]
    const first = tokenBytes(sequenceOf(names))
    assert(tokenBytes(sequenceOf([...names], { promptIds: [1] })) === first)
    assert(tokenBytes(sequenceOf(["a", "c", "<end>"])) !== first)
    const decode = (ids: readonly number[]) => ids.map((id) => names[id]).join("")
    assert(tokenBytes({ ...sequenceOf(names), decode }) !== first, "here <end> is text")
  })
})
