import { assert, assertEquals, assertRejects } from "@std/assert"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, it } from "node:test"
import { fileURLToPath } from "node:url"
import { type RandomStream, randomStream } from "genarm/math"
import { GenArmError } from "../../src/errors.ts"
import { openTokenizer, type Tokenizer } from "../../src/files/tokenizer.ts"
import { readTexts } from "../../src/train/data/texts.ts"
import { WordCounter, wordPattern } from "../../src/train/tokenizer/count_words.ts"
import { learnMerges, type Merge } from "../../src/train/tokenizer/learn_merges.ts"
import {
  type TokenizerOptions,
  type TrainedTokenizer,
  trainTokenizer,
} from "../../src/train/tokenizer/train_tokenizer.ts"
import { writeTokenizer } from "../../src/train/tokenizer/write_tokenizer.ts"
import { temporaryFolder } from "../files/_altered.ts"

const texts = [
  "Once upon a time, there was a little girl named Lily. She didn't like the rain, but she liked " +
  'the sun. "Let\'s go out and play!" said Tom.\n\nLily and Tom played all day.\n',
  "One day, a little fox found 3 eggs. It wasn’t hungry, so the fox didn't eat them.\tThe end.",
  "Les élèves étaient à l'école; der Fuß über dem Fluß, 漢字かな交じり文 🙂🙂 once upon a time...",
]

function pick<A>(random: RandomStream, items: readonly A[]): A {
  return items[Math.floor(random.nextUniform() * items.length)]
}

/** Characters that are easily taken for others, and any others. */
function anyText(random: RandomStream): string {
  const kinds = [
    "abc thE 'sdmtl’re ",
    "0123 ½²३",
    " \n\r\t\u0085\u00a0\u2028\u3000\ufeff\u180e\u200b",
    ".,!?\"'“”—…()<|>",
    "éßøé́漢字한국עברית",
    "😀👩‍👩‍👧🏽🇩🇪❤️",
    "\0\u0001\u001f\u007f\ufffd\u{10ffff}\ue000",
  ].map((kind) => [...kind])
  let text = ""
  while (random.nextUniform() < 0.95) {
    const kind = pick(random, kinds)
    for (let i = 0; i < 3; i++) text += pick(random, kind)
    const code = Math.floor(random.nextUniform() * 0x110000)
    if (code < 0xd800 || code >= 0xe000) text += String.fromCodePoint(code)
  }
  return text
}

/** A trained tokenizer as its files give it back. */
async function reopened(trained: TrainedTokenizer): Promise<Tokenizer> {
  using folder = temporaryFolder()
  await writeTokenizer(folder.path, trained)
  return await openTokenizer(folder.path)
}

/** The merges as the words of the paper have them: count all pairs, merge the best, again. */
function naiveMerges(words: ReadonlyMap<string, number>, minimumCount: number): Merge[] {
  let spelt = [...words].map(([word, count]) => ({
    ids: [...new TextEncoder().encode(word)],
    count,
  }))
  const merges: Merge[] = []
  for (;;) {
    const pairs = new Map<string, { left: number; right: number; count: number }>()
    for (const { ids, count } of spelt) {
      for (let i = 1; i < ids.length; i++) {
        const pair = pairs.get(`${ids[i - 1]} ${ids[i]}`)
        if (pair !== undefined) pair.count += count
        else pairs.set(`${ids[i - 1]} ${ids[i]}`, { left: ids[i - 1], right: ids[i], count })
      }
    }
    const [best] = [...pairs.values()].sort((a, b) =>
      b.count - a.count || a.left - b.left || a.right - b.right
    )
    if (best === undefined || best.count < minimumCount) return merges
    const id = 256 + merges.push([best.left, best.right]) - 1
    spelt = spelt.map(({ ids, count }) => {
      const merged: number[] = []
      for (let i = 0; i < ids.length; i++) {
        const isPair = ids[i] === best.left && ids[i + 1] === best.right
        merged.push(isPair ? id : ids[i])
        if (isPair) i++
      }
      return { ids: merged, count }
    })
  }
}

describe("the words of a text", () => {
  const wordsOf = (text: string) => text.match(new RegExp(wordPattern, "gu")) ?? []

  it("are letters and punctuation with the space before them, digits, contractions, white space", () => {
    assertEquals(wordsOf(`He said: "I don't know,  it's 12 o'clock."\n\nThe end\t!`), [
      ...["He", " said", ":", ' "', "I", " don", "'t", " know", ",", " ", " it", "'s", " 1", "2"],
      ...[" o", "'", "clock", '."', "\n\n", "The", " end", "\t", "!"],
    ])
    assertEquals(wordsOf("'the dog’ll"), ["'", "the", " dog", "’ll"])
    assertEquals(wordsOf("a \n b\u0085é́"), ["a", " \n", " b", "\u0085", "é́"])
  })

  it("hold every character", () => {
    const random = randomStream(1)
    for (let i = 0; i < 500; i++) {
      const text = anyText(random)
      assertEquals(wordsOf(text).join(""), text)
    }
  })

  it("are counted over all texts, without special tokens", () => {
    const counter = new WordCounter(["<|a|>", "<|a|>>"])
    counter.add("one two<|a|>>one two <|a|>")
    counter.add("one\ud800")
    assertEquals(
      [...counter.counts],
      [["one", 3], [" two", 2], [" ", 1], ["\ufffd", 1]],
    )
  })
})

describe("merges", () => {
  it("are those of counting everything again before each", () => {
    for (let seed = 0; seed < 150; seed++) {
      const random = randomStream(seed)
      // Few letters, so that runs such as "aaaa" and ties are common.
      const letters = ["ab", "aab", "abcd", "abcdefgh é"][seed % 4]
      const words = new Map<string, number>()
      for (let i = 0; i < 12; i++) {
        let word = ""
        while (random.nextUniform() < 0.9) word += pick(random, [...letters])
        words.set(word, 1 + Math.floor(random.nextUniform() * 5))
      }
      const minimumCount = 1 + seed % 3
      assertEquals(
        [...learnMerges(words, minimumCount)],
        naiveMerges(words, minimumCount),
        `${seed}`,
      )
    }
  })

  it("are those of counting everything again, of real words", () => {
    const counter = new WordCounter(["<|endoftext|>"])
    texts.forEach((text) => counter.add(text))
    const merges = [...learnMerges(counter.counts, 2)]
    assertEquals(merges, naiveMerges(counter.counts, 2))
    assert(merges.length > 50)
  })

  it("take the lowest ids of pairs that occur equally often", () => {
    const words = new Map([["dc", 2], ["ab", 2], ["ac", 2], ["zz", 3]])
    const codes = [...learnMerges(words, 1)].map((pair) => String.fromCharCode(...pair))
    assertEquals(codes, ["zz", "ab", "ac", "dc"])
  })
})

describe("a trained tokenizer", () => {
  it("has special tokens, bytes and merges, in this order", async () => {
    const specialTokens = ["<|end|>", "<|user|>"]
    const trained = await trainTokenizer(["ab ab<|user|>ab", " abc"], {
      vocabularySize: 260,
      specialTokens,
    })
    assertEquals(trained, {
      size: 260,
      specialTokens,
      merges: [[2 + 0x61, 2 + 0x62], [2 + 0x20, 258]],
    })
  })

  it("gives any text back, whatever it was trained on", async () => {
    for (const vocabularySize of [257, 320]) {
      const tokenizer = await reopened(await trainTokenizer(texts, { vocabularySize }))
      assertEquals(tokenizer.size, vocabularySize)
      const random = randomStream(2)
      for (let i = 0; i < 300; i++) {
        const text = anyText(random)
        assertEquals(tokenizer.decode(tokenizer.encodeContinuation(text)), text)
        assertEquals(tokenizer.decode(tokenizer.encode(text)), text)
      }
    }
  })

  it("reads half of a surrogate pair as U+FFFD", async () => {
    const tokenizer = await reopened(await trainTokenizer(texts, { vocabularySize: 300 }))
    const ids = tokenizer.encodeContinuation("a\ud800b\udc00")
    assertEquals(tokenizer.decode(ids), "a\ufffdb\ufffd")
  })

  it("begins a prompt with the token that ends texts, and adds nothing to what goes on", async () => {
    const tokenizer = await reopened(await trainTokenizer(texts, { vocabularySize: 300 }))
    assertEquals([tokenizer.eos, tokenizer.token(0)], [0, "<|endoftext|>"])
    assertEquals(tokenizer.encode(""), [0])
    const ids = tokenizer.encodeContinuation(" a time")
    assert(ids.length > 0 && !ids.includes(0))
    assertEquals(tokenizer.encode(" a time"), [0, ...ids])
    assertEquals(tokenizer.encodeContinuation("")?.length, 0)
    assertEquals(tokenizer.encodeContinuation("a<|endoftext|>"), [1 + 0x61, 0])
    assertEquals(tokenizer.decode([0, ...ids, 0]), " a time")
  })

  it("does not depend on the order of the texts, or on how they come", async () => {
    const options = { vocabularySize: 320 }
    const trained = await trainTokenizer(texts, options)
    async function* stream() {
      for (const text of [...texts].reverse()) yield await Promise.resolve(text)
    }
    assertEquals(await trainTokenizer(stream(), options), trained)
    assertEquals(await trainTokenizer(new Set(texts), options), trained)
    const read = texts.map((text) => ({ text, complete: true }))
    assertEquals(await trainTokenizer(read, options), trained)
  })

  // Made by `Tokenizer.from_file("tokenizer.json").encode(text).ids` of Python's tokenizers 0.23.3,
  // from the file that writeTokenizer writes here; an end of text at the end of a prompt is cut.
  it("gives the ids of Python's tokenizers", async () => {
    const golden: readonly { text: string; ids: number[] }[] = JSON.parse(
      readFileSync(new URL("../fixtures/trained_tokenizer_expected.json", import.meta.url), "utf8"),
    )
    const tokenizer = await reopened(
      await trainTokenizer(texts, { vocabularySize: 320, specialTokens: ["<|end|>", "<|user|>"] }),
    )
    assert(golden.length > 20)
    for (const { text, ids } of golden) {
      assertEquals(tokenizer.encode(text), ids, JSON.stringify(text))
    }
  })

  it("is written over an old one, the same bytes each time", async () => {
    using folder = temporaryFolder()
    const path = join(folder.path, "made", "on the way")
    const read = () =>
      ["tokenizer.json", "tokenizer_config.json"].map((name) =>
        readFileSync(join(path, name), "utf8")
      )
    const write = async (size: number) => {
      await writeTokenizer(path, await trainTokenizer(texts, { vocabularySize: size }))
      return read()
    }
    const first = await write(300)
    assert(String(await write(310)) !== String(first))
    assertEquals(await write(300), first)
  })

  it("that cannot be written says so", async () => {
    using folder = temporaryFolder()
    writeFileSync(join(folder.path, "file"), "")
    const trained = await trainTokenizer(texts, { vocabularySize: 257 })
    const error = await assertRejects(
      () => writeTokenizer(join(folder.path, "file"), trained),
      GenArmError,
      "could not be written",
    )
    assertEquals(error.reason._tag, "WriteFailed")
  })
})

describe("training a tokenizer", () => {
  const cases: [string, unknown, unknown, (string | number)[], string][] = [
    ["no room for bytes", texts, { vocabularySize: 256 }, ["vocabularySize"], "257"],
    [
      "no room for special tokens",
      texts,
      {
        vocabularySize: 257,
        specialTokens: ["<a>", "<b>"],
      },
      ["vocabularySize"],
      "at least 258, for 256 bytes and 2 special tokens, found 257",
    ],
    ["half a size", texts, { vocabularySize: 300.5 }, ["vocabularySize"], "300.5"],
    ["no size", texts, {}, ["vocabularySize"], "vocabularySize"],
    ["no options", texts, undefined, ["vocabularySize"], "vocabularySize"],
    ["an unknown option", texts, { vocabularySize: 300, size: 1 }, ["size"], "no key but"],
    [
      "no special token",
      texts,
      { vocabularySize: 300, specialTokens: [] },
      ["specialTokens", 0],
      "Missing key",
    ],
    [
      "a special token that is spelt like bytes",
      texts,
      {
        vocabularySize: 300,
        specialTokens: ["<a>", "Ã©"],
      },
      ["specialTokens", 1],
      "visible ASCII",
    ],
    [
      "a special token of one character",
      texts,
      {
        vocabularySize: 300,
        specialTokens: ["a"],
      },
      ["specialTokens", 0],
      'found "a"',
    ],
    [
      "a special token twice",
      texts,
      {
        vocabularySize: 300,
        specialTokens: ["<a>", "<a>"],
      },
      ["specialTokens", 1],
      "<a> again",
    ],
    ["a count of none", texts, { vocabularySize: 300, minimumCount: 0 }, ["minimumCount"], "0"],
    ["no signal", texts, { vocabularySize: 300, signal: {} }, ["signal"], "AbortSignal"],
    ["one text", texts[0], { vocabularySize: 300 }, ["texts"], "found a single text"],
    ["no texts", undefined, { vocabularySize: 300 }, ["texts"], "found undefined"],
    ["what is no text", ["a", 7], { vocabularySize: 300 }, ["texts", 1], "found number at 1"],
  ]
  for (const [name, given, options, path, message] of cases) {
    it(`refuses ${name}`, async () => {
      const error = await assertRejects(
        () => trainTokenizer(given as string[], options as TokenizerOptions),
        GenArmError,
        message,
      )
      assertEquals(error.reason, { _tag: "InvalidOption", path })
    })
  }

  it("says how large a vocabulary the texts can fill, and fills it", async () => {
    const error = await assertRejects(
      () => trainTokenizer(texts, { vocabularySize: 2048 }),
      GenArmError,
      "expected texts with 1791 pairs to merge",
    )
    assertEquals(error.reason, { _tag: "InvalidOption", path: ["vocabularySize"] })
    const most = Number(error.message.match(/at most (\d+)$/)?.[1])
    assertEquals((await trainTokenizer(texts, { vocabularySize: most })).size, most)
    await assertRejects(() => trainTokenizer(texts, { vocabularySize: most + 1 }), GenArmError)
    const more = { vocabularySize: most + 1, minimumCount: 1 }
    assertEquals((await trainTokenizer(texts, more)).size, most + 1)
  })

  it("stops when it is told to", async () => {
    const controller = new AbortController()
    let read = 0
    function* endless() {
      for (;;) {
        if (read++ === 1000) controller.abort()
        yield texts[0]
      }
    }
    const error = await assertRejects(
      () => trainTokenizer(endless(), { vocabularySize: 300, signal: controller.signal }),
      GenArmError,
    )
    assertEquals(error.reason._tag, "Aborted")
    assert(read < 2000)
  })
})

const corpus = fileURLToPath(
  new URL("../../../shared/data/corpus/tinystories-v2-head.txt", import.meta.url),
)
const noCorpus = existsSync(corpus) ? false : "the stories are not beside the project"

describe("a tokenizer of a corpus", { skip: noCorpus }, () => {
  it("needs a third of the tokens that bytes would be, and gives the stories back", async () => {
    const stories = (await Array.fromAsync(readTexts(corpus))).map(({ text }) => text)
    assert(stories.length > 1000)
    const tokenizer = await reopened(await trainTokenizer(stories, { vocabularySize: 1024 }))
    let [characters, tokens] = [0, 0]
    for (const story of stories.slice(0, 200)) {
      const ids = tokenizer.encodeContinuation(story)
      assertEquals(tokenizer.decode(ids), story)
      characters += story.length
      tokens += ids.length
    }
    assert(characters / tokens > 3, `${characters / tokens}`)
  })
})
