import { assert, assertEquals } from "@std/assert"
import { readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { describe, it } from "node:test"
import { arm, crossTokenizer, defineGraph, openPipeline } from "genarm"
import { openTokenizer } from "genarm/train"
import { model } from "../../examples/_models.ts"

/** Texts nobody trained on, in the stories' manner. */
const opening = "Tom had a small blue boat."
const glad =
  " He was so happy! He laughed and played with his friends, and they all had fun in the sun."
const sad =
  " He was very sad. He cried because it was broken, and he was scared and alone in the rain."
const talk = ' "Can I play with it?" asked Sue. "Yes, you can!" said Tom. "Thank you," said Sue.'
const told =
  " Sue wanted to play with it too. Tom let her. She was thankful and they played all day."

const bytesOf = (folder: string): number =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0)

describe("the models of the examples", { timeout: 120_000 }, () => {
  it("take a few megabytes in all", () => {
    assert(bytesOf(model(".")) < 10e6)
  })

  it("have at most a third of the base's weights where they guide it from outside", () => {
    const weights = (name: string) => statSync(join(model(name), "model.safetensors")).size
    for (const name of ["cheerful-small", "cheerful-bytes"]) {
      assert(weights(name) <= weights("base") / 3)
    }
  })

  it("have a tokenizer that gives back any text", async () => {
    const tokenizer = await openTokenizer(model("base"))
    for (const text of [opening, "naïve 🚲 漢字\n\n\tEnd", "\u0000\u0007 a  b"]) {
      assertEquals(tokenizer.decode(tokenizer.encodeContinuation(text)), text)
    }
  })

  it("come with cards, logs and curves", () => {
    for (const name of ["base", "cheerful", "dialogue", "cheerful-small", "cheerful-bytes"]) {
      assert(readFileSync(join(model(name), "README.md"), "utf8").includes("curves.svg"))
      assert(readFileSync(join(model(name), "curves.svg"), "utf8").startsWith("<svg"))
      assert(readFileSync(join(model(name), "training_log.jsonl"), "utf8").length > 0)
    }
  })

  it("reward what they were trained to like, and the base does not", async () => {
    const graph = defineGraph({
      base: model("base"),
      rewards: {
        cheerful: { reward: arm({ adapter: model("cheerful") }), weight: 0 },
        dialogue: { reward: arm({ adapter: model("dialogue") }), weight: 0 },
        small: { reward: arm({ model: model("cheerful-small") }), weight: 0 },
        bytes: {
          reward: crossTokenizer({ of: arm({ model: model("cheerful-bytes") }) }),
          weight: 0,
        },
      },
    })
    await using pipeline = await openPipeline(graph)
    const score = (text: string) => pipeline.score(opening, text)
    const [happy, unhappy, spoken, unspoken] = [
      await score(glad),
      await score(sad),
      await score(talk),
      await score(told),
    ]
    /** How much more a reward prefers one text to another than the base does, in nats. */
    const gain = (name: string, a: typeof happy, b: typeof happy) =>
      a.rewards[name] - b.rewards[name] - (a.base - b.base)
    assert(gain("cheerful", happy, unhappy) > 5)
    assert(happy.rewards.small > unhappy.rewards.small)
    assert(happy.rewards.bytes > unhappy.rewards.bytes)
    assert(gain("dialogue", spoken, unspoken) > 5)
  })
})
