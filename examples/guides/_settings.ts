/**
 * What the guide on samplers, schedules and strategies compares: the story-teller of the examples, a reward
 * model beside it, and a list of cheerful words to count by, which no model has seen.
 */
import { arm, defineGraph, type Graph, type GraphSpec, lexicon } from "genarm"
import { model } from "../_models.ts"

/** Beginnings of stories. */
export const prompts: readonly string[] = [
  "One day, a little girl named Lily",
  "Tom and his mom went to",
  "Once upon a time, there was a big dog",
  "Sam was in the garden. He",
]

const cheerful: readonly string[] = [
  ...["happy", "happily", "glad", "joy", "fun", "love", "loved", "loves", "smile", "smiled"],
  ...["smiles", "laugh", "laughed", "laughs", "hug", "hugged", "hugs", "kind", "nice", "proud"],
  ...["friend", "friends", "play", "played", "sunny", "beautiful", "pretty", "best", "thank"],
]

/** Cheerful words in a hundred. */
export function cheerIn(text: string): number {
  const words = text.toLowerCase().match(/[a-z']+/g) ?? []
  return 100 * words.filter((word) => cheerful.includes(word)).length / Math.max(1, words.length)
}

/** A graph with the reward model as `cheerful`, and the list of words as `words`, of weight 0. */
export function graphOf(
  parts: Omit<GraphSpec, "base" | "rewards">,
  weight: NonNullable<GraphSpec["rewards"]>[string]["weight"] = 0,
): Graph {
  return defineGraph({
    base: model("base"),
    rewards: {
      cheerful: { reward: arm({ adapter: model("cheerful") }), weight },
      words: { reward: lexicon({ words: cheerful }), weight: 0 },
    },
    ...parts,
  })
}
