/**
 * Token bytes of the tokenizers met last, so that every sequence of one model shares them. A sequence
 * does not say whose it is: it is known by the names of all its ids, and by how those without text read.
 */
import { readTokenBytes, type TokenBytes, type Vocabulary } from "./_token_bytes.ts"

interface Known {
  readonly names: readonly (string | undefined)[]
  /** Ids that names alone do not decide, and their text. */
  readonly probe: readonly number[]
  readonly text: string
  readonly tokens: TokenBytes
}

/** Tokenizers that are remembered: the latest ones. */
const capacity = 4

const known: Known[] = []

/** The bytes of the ids of a sequence, or of a model that a reward reads with. */
export function tokenBytes(sequence: Vocabulary): TokenBytes {
  const found = known.find((other) => isSame(other, sequence))
  if (found !== undefined) return found.tokens
  const tokens = readTokenBytes(sequence)
  const names = Array.from({ length: tokens.count }, (_, id) => sequence.token(id))
  const probe = names.flatMap((name, id) =>
    name === undefined || tokens.starts[id] < tokens.starts[id + 1] && !/^[<[].*[>\]]$/.test(name)
      ? []
      : [id]
  )
  known.unshift({ names, probe, text: sequence.decode(probe), tokens })
  known.length = Math.min(known.length, capacity)
  return tokens
}

function isSame({ names, probe, text }: Known, { vocabularySize, token, decode }: Vocabulary) {
  if (names.length !== vocabularySize) return false
  for (let id = 0; id < names.length; id++) if (names[id] !== token(id)) return false
  return decode(probe) === text
}
