/** The tensors of a Llama by name, with their shapes: what a written model holds, no more, no less. */
import type { LlamaConfig } from "./config.ts"
import { parameterGroups, shapeOf } from "./parameters.ts"

/** Shapes by name; a matrix that maps `columns` inputs to `rows` outputs is `[rows, columns]`. */
export function llamaTensorShapes(config: LlamaConfig): Map<string, readonly number[]> {
  return new Map(
    parameterGroups(config).flatMap(({ parts, columns }) =>
      parts.map(({ name, rows }) => [name, shapeOf({ rows, columns })] as const)
    ),
  )
}
