import { assert, assertEquals, assertThrows } from "@std/assert"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { before, describe, it } from "node:test"
import { fileURLToPath } from "node:url"
import { cheerfulness } from "../../examples/train/_scores.ts"
import { independentSentiment, maskOf, type Sentiment } from "../../examples/train/_sentiment.ts"
import { type Lexicon, readLexicon, valencesOf } from "../../examples/train/_vader.ts"

const data = fileURLToPath(new URL("../../../shared/data", import.meta.url))
const withData: { skip?: string } = existsSync(`${data}/corpus`) && existsSync(`${data}/lexicon`)
  ? {}
  : { skip: `there are no corpora and no lexicon at ${data}` }

const small: Lexicon = new Map([["good", 2], ["happy", 3], ["sad", -2], ["hug", 2]])

describe("the score by a word list", () => {
  it("knows the valences of the words that have one", () => {
    assertEquals(valencesOf("Good, happy Tim.", small), [2, 3])
    assertEquals(valencesOf("SAD", small), [-2])
    assertEquals(valencesOf("A tree.", small), [])
    assertEquals(valencesOf("", small), [])
  })

  it("turns round what is negated in the three words before", () => {
    assertEquals(valencesOf("It was not very good", small), [-0.74 * 2])
    assertEquals(valencesOf("It wasn’t good", small), [-0.74 * 2])
    assertEquals(valencesOf("Not that it was then good", small), [2])
  })

  it("ranks a text by its valences over its sentences", () => {
    const cheer = cheerfulness(small)
    assertEquals(cheer("Good. Tim got a hug! He was sad."), (2 + 2 - 2) / 3)
    assertEquals(cheer("A tree."), 0)
  })

  it("reads a list, and says which line is none", () => {
    const folder = mkdtempSync(join(tmpdir(), "genarm-lexicon-"))
    try {
      const file = join(folder, "list.txt")
      writeFileSync(file, "good\t1.9\t0.9\t[2, 1]\nbad\t-2.5\t0.6\t[-3]\n")
      assertEquals([...readLexicon(file)], [["good", 1.9], ["bad", -2.5]])
      writeFileSync(file, "good\t1.9\nbad\n")
      assertThrows(() => readLexicon(file), Error, "line 2")
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

describe("the mask", () => {
  it("leaves no word of the list, no inflection, no negation and no name", () => {
    const kept = maskOf(small)(
      "Then Tim wasn't happier; they hugged, hugging the goodly old bear never",
    )
    assertEquals(kept, ["they", "the", "old", "bear"])
  })
})

describe("the independent measure", withData, () => {
  let lexicon: Lexicon
  let sentiment: Sentiment
  let stories: string[]
  const labels: Record<"first" | "second", { begins: string; label: number }[]> = JSON.parse(
    readFileSync(new URL("../../examples/train/_sentiment_labels.json", import.meta.url), "utf8"),
  )
  const all = [...labels.first, ...labels.second]

  before(() => {
    lexicon = readLexicon(`${data}/lexicon/vader_lexicon.txt`)
    stories = ["v2", "v1"].flatMap((version) =>
      readFileSync(`${data}/corpus/tinystories-${version}-head.txt`, "utf8")
        .split("<|endoftext|>").map((story) => story.trim().replaceAll(/\s+/g, " "))
        .filter((story) => story.length > 200)
    )
    const isLabelled = (story: string) => all.some(({ begins }) => story.startsWith(begins))
    sentiment = independentSentiment(stories.filter((story) => !isLabelled(story)), lexicon)
  })

  /** In how many pairs of a happy and a sad story the happy one scores higher. */
  function area(list: typeof all): number {
    const scores = (wanted: number) =>
      list.filter(({ label }) => label === wanted).map(({ begins }) =>
        sentiment(stories.find((story) => story.startsWith(begins))!)
      )
    const sad = scores(-1)
    const wins = scores(1).flatMap((happy) => sad.map((other) => happy > other))
    return wins.filter(Boolean).length / wins.length
  }

  it("tells stories read as happy from those read as sad, which it has not seen", () => {
    assertEquals(all.length, 101)
    assert(area(labels.first) > 0.92, `${area(labels.first)}`)
    assert(area(labels.second) > 0.8, `${area(labels.second)}`)
  })

  it("cannot be moved by the words of the list", () => {
    const text = "They walked home together. Everyone played a game. Then it fell and broke. "
    const moved = text.replace("walked", "happily walked").replace("a game", "a great sad game")
    assertEquals(sentiment(moved), sentiment(text))
    for (const story of stories.slice(0, 100)) {
      const left = maskOf(lexicon)(story).filter((word) => lexicon.has(word))
      assertEquals(left, [])
    }
  })

  it("is 0 to 1 of any text, and needs both kinds of sentences to learn from", () => {
    for (const text of ["", "x", "...", "One day"]) {
      assert(sentiment(text) >= 0 && sentiment(text) <= 1, text)
    }
    assertThrows(() => independentSentiment(["He was happy."], lexicon), Error, "found 1 and 0")
  })
})
