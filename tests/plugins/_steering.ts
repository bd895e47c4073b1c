/** What published code makes of written-down numbers: `tests/fixtures/make_steering.py`. */
import type { PolicyDivergence } from "genarm"
import { readFileSync } from "node:fs"

/** A number, or none for log 0. */
type Log = number | null

/** The cases of `steering_expected.json`. */
export interface Steering {
  readonly proxyTuning: {
    readonly models: Readonly<Record<"base" | "expert" | "antiexpert", string>>
    readonly prompt: readonly number[]
    readonly cases: readonly {
      readonly alpha: number
      readonly greedy: readonly number[]
      readonly logprobs: readonly number[]
    }[]
  }
  readonly mod: {
    readonly logits: Readonly<Record<string, readonly (readonly number[])[]>>
    readonly weights: Readonly<Record<string, number>>
    readonly cases: readonly {
      readonly divergence: PolicyDivergence
      readonly over: "text" | "token"
      readonly greedy: readonly number[]
      readonly logprobs: readonly (readonly number[])[]
      /** What the authors' code makes of it. */
      readonly code: readonly (readonly number[])[]
    }[]
  }
  readonly contrastive: {
    readonly expert: readonly Log[]
    readonly amateur: readonly Log[]
    readonly cases: readonly {
      readonly share: number
      readonly left: Readonly<Record<string, number | "Infinity">>
    }[]
  }
  readonly trajectory: {
    readonly logits: readonly number[]
    readonly rewards: readonly number[]
    readonly cases: readonly {
      readonly form: "args" | "rad"
      readonly candidates: number
      readonly weight: number
      readonly greedy: number
      readonly left: Readonly<Record<string, number>>
    }[]
  }
  readonly cards: {
    readonly logits: readonly (readonly number[])[]
    readonly segments: readonly { readonly entropy: number; readonly ends: readonly number[] }[]
    /** Segments drawn where none passes. */
    readonly draws: number
    readonly decisions: readonly {
      readonly target: number
      readonly start: number
      readonly alpha: number
      readonly beta: number
      readonly tokens: number
      readonly length: number
      readonly reward: number
      readonly uniform: number
      readonly accepted: boolean
    }[]
  }
  readonly rain: {
    readonly rounds: readonly {
      readonly searches: readonly {
        readonly path: readonly number[]
        readonly value: number
        readonly chances: readonly number[]
      }[]
      readonly visits: readonly number[]
      readonly values: readonly number[]
      readonly favourite: number
      /** Those of its children, once it is the root. */
      readonly priors: readonly number[]
    }[]
    readonly weighed: readonly {
      readonly greedy: number
      readonly draws: readonly (readonly [token: number, chance: number])[]
      readonly weighed: readonly (readonly [token: number, chance: number])[]
    }[]
  }
  readonly algebra: {
    readonly logits: Readonly<Record<string, readonly Log[]>>
    readonly cases: readonly {
      readonly kind: "union" | "intersection"
      readonly weight: number
      readonly logprobs: readonly Log[]
    }[]
  }
}

/** All of them. */
export const steering: Steering = JSON.parse(
  readFileSync(new URL("../fixtures/steering_expected.json", import.meta.url), "utf8"),
)

/** A row of probabilities from logits, as tables take them. */
export const chances = (logits: readonly Log[]): number[] =>
  logits.map((logit) => logit === null ? 0 : Math.exp(logit))

/** As many one-letter tokens. */
export const vocabularyOf = (size: number): string[] =>
  Array.from({ length: size }, (_, id) => String.fromCharCode(0x4e00 + id))
