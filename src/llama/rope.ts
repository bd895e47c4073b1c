/**
 * Rotary position embeddings (RoPE, arXiv 2104.09864) and their scalings: linear, Llama 3's by
 * wavelength, and YaRN (arXiv 2309.00071). Angles are rounded to float32 where transformers rounds
 * them, so that late positions agree with it.
 */
import type { Json } from "../files/model_folder.ts"

/** What the rotation needs. */
export interface Rope {
  /** `[headSize / 2]`, radians per position. */
  readonly inverseFrequencies: Float32Array
  /** YaRN's factor on cosine and sine; 1 otherwise. */
  readonly attentionFactor: number
}

/** The rotation that `config.json` describes; `refuse` throws for what is unsupported. */
export function ropeOf(
  config: Json,
  sizes: { readonly headSize: number; readonly contextLength: number },
  refuse: (what: string) => never,
): Rope {
  const scaling = (config.rope_parameters ?? config.rope_scaling ?? {}) as Json
  const theta = scaling.rope_theta ?? config.rope_theta ?? 10_000
  const kind = scaling.rope_type ?? scaling.type ?? "default"
  const number = (key: string, fallback?: number): number => {
    const value = scaling[key] ?? fallback
    if (typeof value === "number" && value > 0) return value
    return refuse(`its ${kind} RoPE needs ${key} as a positive number, found ${value}`)
  }
  if (typeof theta !== "number" || !(theta > 0)) {
    refuse(`expected rope_theta as a positive number, found ${theta}`)
  }
  const base = theta as number
  const plain = Float32Array.from(
    { length: sizes.headSize / 2 },
    (_, i) => 1 / Math.fround(base ** ((2 * i) / sizes.headSize)),
  )
  switch (kind) {
    case "default":
      return { inverseFrequencies: plain, attentionFactor: 1 }
    case "linear": {
      const factor = number("factor")
      return { inverseFrequencies: plain.map((f) => f / factor), attentionFactor: 1 }
    }
    case "llama3": {
      const trained = number("original_max_position_embeddings", sizes.contextLength)
      const scale = llama3Scale({
        trained,
        factor: number("factor"),
        low: number("low_freq_factor"),
        high: number("high_freq_factor"),
      })
      return { inverseFrequencies: plain.map(scale), attentionFactor: 1 }
    }
    case "yarn": {
      const factor = number("factor")
      const trained = number(
        "original_max_position_embeddings",
        typeof config.original_max_position_embeddings === "number"
          ? config.original_max_position_embeddings
          : sizes.contextLength,
      )
      if (scaling.mscale !== undefined || scaling.mscale_all_dim !== undefined) {
        refuse("YaRN with mscale is unsupported")
      }
      const share = yarnInterpolation({
        base,
        headSize: sizes.headSize,
        trained,
        fast: number("beta_fast", 32),
        slow: number("beta_slow", 1),
        truncate: scaling.truncate !== false,
      })
      return {
        inverseFrequencies: plain.map((f, i) => (f / factor) * share(i) + f * (1 - share(i))),
        attentionFactor: number("attention_factor", factor <= 1 ? 1 : 0.1 * Math.log(factor) + 1),
      }
    }
    default:
      return refuse(
        `expected rope_type "default", "linear", "llama3" or "yarn", found ${JSON.stringify(kind)}`,
      )
  }
}

/** Llama 3.1: long wavelengths are slowed by the factor, short ones kept, the rest blended. */
function llama3Scale(
  o: {
    readonly trained: number
    readonly factor: number
    readonly low: number
    readonly high: number
  },
): (frequency: number) => number {
  return (frequency) => {
    const wavelength = (2 * Math.PI) / frequency
    if (wavelength > o.trained / o.low) return frequency / o.factor
    if (wavelength < o.trained / o.high) return frequency
    const kept = (o.trained / wavelength - o.low) / (o.high - o.low)
    return ((1 - kept) * frequency) / o.factor + kept * frequency
  }
}

/** YaRN: the share of interpolation for each pair of dimensions, 0 for fast and 1 for slow ones. */
function yarnInterpolation(
  o: {
    readonly base: number
    readonly headSize: number
    readonly trained: number
    readonly fast: number
    readonly slow: number
    readonly truncate: boolean
  },
): (pair: number) => number {
  const pairOfRotations = (rotations: number) =>
    (o.headSize * Math.log(o.trained / (rotations * 2 * Math.PI))) / (2 * Math.log(o.base))
  let low = pairOfRotations(o.fast)
  let high = pairOfRotations(o.slow)
  if (o.truncate) {
    low = Math.floor(low)
    high = Math.ceil(high)
  }
  low = Math.max(low, 0)
  high = Math.min(high, o.headSize - 1)
  if (low === high) high += 0.001
  return (pair) => Math.min(1, Math.max(0, (pair - low) / (high - low)))
}

/** Cosines and sines of positions `0 .. length - 1`, each `[length, headSize / 2]`. */
export function ropeTable(
  { inverseFrequencies, attentionFactor }: Rope,
  length: number,
): { readonly cos: Float32Array<ArrayBuffer>; readonly sin: Float32Array<ArrayBuffer> } {
  const half = inverseFrequencies.length
  const cos = new Float32Array(length * half)
  const sin = new Float32Array(length * half)
  for (let position = 0, at = 0; position < length; position++) {
    for (let i = 0; i < half; i++, at++) {
      const angle = Math.fround(position * inverseFrequencies[i])
      cos[at] = Math.cos(angle) * attentionFactor
      sin[at] = Math.sin(angle) * attentionFactor
    }
  }
  return { cos, sin }
}
