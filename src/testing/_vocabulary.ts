/**
 * The vocabulary of the made-up world: special tokens, every printable character, words, pieces of JSON,
 * and bytes that make up characters only together; small, and with something to do for every plugin.
 */

/** Letters, digits, signs and the space: U+0020 to U+007E. */
const printable = Array.from({ length: 95 }, (_, i) => String.fromCharCode(0x20 + i))

const words = [
  ..."the a an and or but not no yes I you he she it we they is are was be have has do can".split(
    " ",
  ),
  ..."good bad happy sad kind cruel nice ugly love hate great awful calm angry fine poor".split(
    " ",
  ),
  ..."cat dog bird fish tree house door window road river sky sun moon rain snow wind day".split(
    " ",
  ),
  ..."night time word text book song name friend child king queen city world water fire".split(" "),
  ..."one two three four five six seven eight nine ten red green blue black white old new".split(
    " ",
  ),
  ..."run walk sing play sleep eat drink see hear say think know go come take give make".split(" "),
  ..."very so too then when where why how with from into over under".split(" "),
]

/** Parts of words, and words that begin a text. */
const pieces = ["ing", "ed", "er", "est", "ly", "un", "re", "ness", "The", "It", "You", "Yes", "No"]

const json = ['{"', '":', '", "', '"}', "[{", "}]", "],", "true", "false", "null", "10", "42"]

/** The bytes of é, ü, ö, ß and ï, of 好, and of an emoji, each once. */
const bytes = [
  ...[0xc3, 0xa9, 0xbc, 0xb6, 0x9f, 0xaf],
  ...[0xe5, 0xa5, 0xbd],
  ...[0xf0, 0x98, 0x80],
].map((byte) => `<0x${byte.toString(16).toUpperCase()}>`)

/** The text of each id of every made-up model. */
export const vocabulary: readonly string[] = [
  ...["<unk>", "<s>", "</s>", "<pad>"],
  ...printable,
  ...["\n", "\t", "\n\n", "  "],
  ...words.map((word) => ` ${word}`),
  ...pieces,
  ...json,
  ...["é", " naïve", "…", "“", "”"],
  ...bytes,
]

/** The id that every text prompt begins with. */
export const bos = 1

/** The ids that end a text. */
export const eos: readonly number[] = [2]

/** Rows of a distribution that no tokenizer names, as real models have. */
export const padding = 3
