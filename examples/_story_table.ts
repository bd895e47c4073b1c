/**
 * A story-teller small enough to be written down, for when no model folder is at hand: it continues
 * word by word as its two little tales do, and leans to the one whose words it has read more of.
 */
import type { TableModel } from "genarm"

const tales = {
  bright: "Lily found a red ball. She laughed and ran to the green park. The sun was warm and " +
    "bright. Her friends sang a happy song. They danced and smiled and laughed.",
  gloomy: "Lily lost a red ball. She cried and walked to the dark wood. The rain was cold and " +
    "grey. Her friends told a sad story. They sighed and wept and cried.",
}

/** Words begin with their space, as tokens do; a full stop is one too. */
const wordsOf = (text: string) => ` ${text}`.match(/ [A-Za-z]+|\./g) ?? []

const end = "<end>"
const bright = wordsOf(tales.bright)
const gloomy = wordsOf(tales.gloomy)
const vocabulary = [end, ...new Set([...bright, ...gloomy])]
const starts = vocabulary.filter((word) => /^ [A-Z]/.test(word))

/** How often `next` follows `word` in a tale. */
const follows = (tale: readonly string[], word: string, next: string) =>
  tale.filter((_, i) => tale[i] === word && tale[i + 1] === next).length

/** Words of one tale that the other does not have. */
const only = (tale: readonly string[], other: readonly string[]) =>
  new Set(tale.filter((word) => !other.includes(word)))
const onlyBright = only(bright, gloomy)
const onlyGloomy = only(gloomy, bright)

/** The story-teller, for `tableRuntime({ storyteller })`. */
export const storyteller: TableModel = {
  vocabulary,
  eos: [0],
  next: (ids) => {
    const words = ids.map((id) => vocabulary[id])
    const last = words.at(-1)!
    const leaning = (set: ReadonlySet<string>) => 2 + words.filter((word) => set.has(word)).length
    const [sunny, rainy] = [leaning(onlyBright), leaning(onlyGloomy)]
    return vocabulary.map((next) => {
      if (last === ".") return starts.includes(next) ? 1 : next === end ? 0.3 : 0
      return sunny * follows(bright, last, next) + rainy * follows(gloomy, last, next) + 1e-4
    })
  },
}
