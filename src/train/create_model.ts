/** New models: a Llama of any size with random weights, to be trained from the beginning. */
import { Schema } from "effect"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { GenArmError } from "../errors.ts"
import { openTokenizer } from "../files/tokenizer.ts"
import { readLlamaConfig } from "../llama/config.ts"
import { decodeAt } from "../plugin/options.ts"
import { exportModel } from "./export/export_model.ts"
import { fullWeights, randomWeights } from "./trainable.ts"

/** The size of a new model. */
export interface NewModelSpec {
  /** The folder to write. */
  readonly out: string
  /** The folder that has its `tokenizer.json`; its entries are the vocabulary. */
  readonly tokenizer: string
  /** Width of the residual stream. */
  readonly hiddenSize: number
  /** Width inside the feed-forward layers; 8/3 of the hidden size, rounded up to 32s, where absent. */
  readonly intermediateSize?: number
  /** Layers. */
  readonly layers: number
  /** Query heads. */
  readonly heads: number
  /** Key-value heads, each shared by `heads / keyValueHeads` query heads; `heads` where absent. */
  readonly keyValueHeads?: number
  /** Tokens of context. */
  readonly contextLength: number
  /** Whether the head shares the embedding's weights; true where absent. */
  readonly tiedHead?: boolean
  /** Of the random weights; 0 where absent. */
  readonly seed?: number
}

const size = Schema.Int.check(Schema.isGreaterThan(0))

const schema = Schema.Struct({
  out: Schema.NonEmptyString,
  tokenizer: Schema.NonEmptyString,
  hiddenSize: size,
  intermediateSize: Schema.optionalKey(size),
  layers: size,
  heads: size,
  keyValueHeads: Schema.optionalKey(size),
  contextLength: size,
  tiedHead: Schema.optionalKey(Schema.Boolean),
  seed: Schema.optionalKey(
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 32 - 1 })),
  ),
})

/**
 * Writes a folder with a new Llama, its weights random, as the `base` of a training. A new model that
 * is there already is replaced; a folder with a model card or a training's log is refused.
 *
 * @returns How many numbers the model has.
 * @throws {GenArmError} `InvalidOption` or `UnsupportedModel` for sizes that do not fit together,
 * `InvalidModelFile` where there is no tokenizer, `WriteFailed` where the disk refuses.
 *
 * @example
 * ```ts
 * import { createModel } from "genarm/train"
 * import { assertEquals } from "@std/assert"
 * import { mkdtemp } from "node:fs/promises"
 * import { tmpdir } from "node:os"
 * import { join } from "node:path"
 *
 * const out = await mkdtemp(join(tmpdir(), "model-"))
 * const tokenizer = "tests/fixtures/models/llama"
 * const sizes = { hiddenSize: 16, intermediateSize: 32, layers: 1, heads: 2, contextLength: 64 }
 * assertEquals(await createModel({ out, tokenizer, ...sizes }) > 2000, true)
 * ```
 */
export async function createModel(spec: NewModelSpec): Promise<number> {
  const checked = decodeAt(schema, spec, [], "InvalidOption")
  const { hiddenSize, heads, seed = 0 } = checked
  const learnt = ["training_log.jsonl", "README.md"].find((f) => existsSync(join(checked.out, f)))
  if (learnt !== undefined) {
    throw new GenArmError(
      { _tag: "InvalidOption", path: ["out"] },
      `expected a new folder, and ${checked.out} has a ${learnt}: random weights would replace what ` +
        "was learnt there; name another",
    )
  }
  const tokenizer = await openTokenizer(checked.tokenizer)
  const config = readLlamaConfig({
    model_type: "llama",
    vocab_size: tokenizer.size,
    hidden_size: hiddenSize,
    intermediate_size: checked.intermediateSize ?? Math.ceil((hiddenSize * 8) / 3 / 32) * 32,
    num_hidden_layers: checked.layers,
    num_attention_heads: heads,
    num_key_value_heads: checked.keyValueHeads ?? heads,
    max_position_embeddings: checked.contextLength,
    rms_norm_eps: 1e-5,
    rope_theta: 10_000,
    tie_word_embeddings: checked.tiedHead ?? true,
  }, checked.out)
  const weights = randomWeights(config, seed)
  const begin = tokenizer.encode("")[0]
  await exportModel({
    out: checked.out,
    config,
    tensors: fullWeights(config, weights).tensors(),
    newModel: {
      tokenizerFolder: checked.tokenizer,
      ...begin !== undefined && { bosTokenId: begin },
      ...tokenizer.eos !== undefined && { eosTokenId: tokenizer.eos },
    },
  })
  return weights.length
}
