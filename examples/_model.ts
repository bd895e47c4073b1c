/** The model an example runs on: a folder named on the command line, or the story-teller here. */
import process from "node:process"
import { model } from "./_models.ts"

/** A model with texts that suit it. */
export interface ExampleModel {
  readonly base: string
  readonly prompt: string
  readonly bright: string
  readonly gloomy: string
}

/** Reads the first argument. */
export function exampleModel(): ExampleModel {
  return {
    base: process.argv[2] ?? model("base"),
    prompt: "One day, a little girl named Lily",
    bright: "It was a happy, sunny day. Everyone was happy. They laughed and smiled. They loved " +
      "to play with their friends, and they had so much fun. ",
    gloomy: "It was a sad, dark day. Everyone was sad. They cried and cried. They were scared " +
      "and hurt, and nobody wanted to play with them. ",
  }
}
