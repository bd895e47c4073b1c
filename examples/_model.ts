/** The model an example runs on: a folder named on the command line, or one that is written down. */
import process from "node:process"
import { type OpenOptions, tableRuntime } from "genarm"
import { storyteller } from "./_story_table.ts"

/** A model with texts that suit it. */
export interface ExampleModel {
  readonly base: string
  readonly options: OpenOptions
  readonly prompt: string
  readonly bright: string
  readonly gloomy: string
}

/** Reads the first argument; without one, says how to give it and uses the written-down model. */
export function exampleModel(): ExampleModel {
  const folder = process.argv[2]
  if (folder !== undefined) {
    return {
      base: folder,
      options: {},
      prompt: "One day, a little girl named Lily",
      bright:
        "It was a happy, sunny day. Everyone was happy. They laughed and smiled. They loved " +
        "to play with their friends, and they had so much fun. ",
      gloomy: "It was a sad, dark day. Everyone was sad. They cried and cried. They were scared " +
        "and hurt, and nobody wanted to play with them. ",
    }
  }
  process.stderr.write(
    "No model was named, so a story-teller of forty words runs, written down in examples/.\n" +
      "Name the folder of any Llama, Mistral, Qwen2/3, SmolLM or TinyLlama model to run that:\n" +
      "  deno task demo ./path/to/folder\n\n",
  )
  return {
    base: "storyteller",
    options: { runtime: tableRuntime({ storyteller }) },
    prompt: " Lily",
    bright: " They danced and smiled and laughed.",
    gloomy: " They sighed and wept and cried.",
  }
}
