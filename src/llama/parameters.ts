/**
 * The tensors of a Llama as a list: the one place that knows what `model.safetensors` calls them,
 * their shapes, and which lie on top of each other. Query, key and value projections are stacked
 * into one matrix, and gate and up likewise, so that each layer runs four matrix products instead of
 * seven. Readers, trainers and writers of weights all follow this list.
 */
import type { LlamaConfig } from "./config.ts"
import type { LayerWeights } from "./weights.ts"

/** One tensor of the graph: one tensor of the file, or several stacked by rows. */
export interface ParameterGroup {
  /** What it is, within its layer where it has one. */
  readonly key: keyof LayerWeights | "embedding" | "finalNorm" | "head" | "valueHead"
  /** Its layer; absent for what stands before and after the layers. */
  readonly layer?: number
  /** The tensors of the file, with their rows, from the top. */
  readonly parts: readonly { readonly name: string; readonly rows: number }[]
  /** Columns of a matrix `[rows, columns]`; absent for a vector. */
  readonly columns?: number
  /** Rows of all parts. */
  readonly rows: number
}

/** All tensors of a model, in the order in which they are read. */
export function parameterGroups(config: LlamaConfig): ParameterGroup[] {
  const { hiddenSize: hidden, intermediateSize: inner, headSize, vocabularySize } = config
  const queries = config.heads * headSize
  const keys = config.keyValueHeads * headSize
  const outer = (key: ParameterGroup["key"], name: string, rows: number, columns?: number) =>
    group({ key, parts: [{ name, rows }], ...columns !== undefined && { columns } })

  const layerGroups = (layer: number): ParameterGroup[] => {
    const prefix = `model.layers.${layer}`
    const projections = [["q_proj", queries], ["k_proj", keys], ["v_proj", keys]] as const
    const gates = [["gate_proj", inner], ["up_proj", inner]] as const
    const of = (
      key: keyof LayerWeights,
      block: string,
      parts: readonly (readonly [module: string, rows: number])[],
      kind: "weight" | "bias",
      columns?: number,
    ) =>
      group({
        key,
        layer,
        parts: parts.map(([module, rows]) => ({
          name: `${prefix}.${block}${module}.${kind}`,
          rows,
        })),
        ...columns !== undefined && { columns },
      })
    return [
      of("attentionNorm", "", [["input_layernorm", hidden]], "weight"),
      of("queryKeyValue", "self_attn.", projections, "weight", hidden),
      ...config.queryKeyValueBias
        ? [of("queryKeyValueBias", "self_attn.", projections, "bias")]
        : [],
      ...config.queryKeyNorm
        ? [
          of("queryNorm", "self_attn.", [["q_norm", headSize]], "weight"),
          of("keyNorm", "self_attn.", [["k_norm", headSize]], "weight"),
        ]
        : [],
      of("output", "self_attn.", [["o_proj", hidden]], "weight", queries),
      ...config.outputBias ? [of("outputBias", "self_attn.", [["o_proj", hidden]], "bias")] : [],
      of("feedForwardNorm", "", [["post_attention_layernorm", hidden]], "weight"),
      of("gateUp", "mlp.", gates, "weight", hidden),
      ...config.feedForwardBias ? [of("gateUpBias", "mlp.", gates, "bias")] : [],
      of("down", "mlp.", [["down_proj", hidden]], "weight", inner),
      ...config.feedForwardBias ? [of("downBias", "mlp.", [["down_proj", hidden]], "bias")] : [],
    ]
  }
  return [
    outer("embedding", "model.embed_tokens.weight", vocabularySize, hidden),
    ...Array.from({ length: config.layers }, (_, layer) => layerGroups(layer)).flat(),
    outer("finalNorm", "model.norm.weight", hidden),
    ...headGroups(),
  ]

  function headGroups(): ParameterGroup[] {
    if (config.labels !== undefined) {
      return [outer("valueHead", "score.weight", config.labels.length, hidden)]
    }
    return config.tiedHead ? [] : [outer("head", "lm_head.weight", vocabularySize, hidden)]
  }
}

function group(g: Omit<ParameterGroup, "rows">): ParameterGroup {
  return { ...g, rows: g.parts.reduce((sum, { rows }) => sum + rows, 0) }
}

/** The dimensions of a group's tensor, or of one of its parts: of a matrix, or of a vector. */
export function shapeOf(
  { rows, columns }: { readonly rows: number; readonly columns?: number | undefined },
): number[] {
  return columns === undefined ? [rows] : [rows, columns]
}

/** The numbers a group's tensor holds. */
export function sizeOf({ rows, columns = 1 }: ParameterGroup): number {
  return rows * columns
}
