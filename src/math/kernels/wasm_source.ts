/**
 * The module of the kernels for WebAssembly with 128-bit vectors, assembled from the sources beside
 * this file when it is first needed: there are no built bytes to keep in step.
 *
 * Pointers are byte offsets; all work on whole blocks of ids, and at least one: what is left over is
 * for the plain loops. Their twins in `plain_loops.ts` say what each does.
 */
import { assemble } from "./assembler.ts"
import { range } from "./instructions.ts"
import { ROWS_AT_ONCE } from "./kernels.ts"
import { addToBuckets, gatherBucket } from "./wasm_buckets.ts"
import { areBelowInfinity, groupMaxima, mix, multiply } from "./wasm_rows.ts"
import { exponentials, keepAtLeast } from "./wasm_weights.ts"

/** The module's bytes. */
export function assembleKernels(): Uint8Array<ArrayBuffer> {
  const mixes = range(ROWS_AT_ONCE).flatMap((i) => [mix(i + 1, false), mix(i + 1, true)])
  return assemble([
    ...mixes,
    groupMaxima,
    exponentials(true),
    exponentials(false),
    keepAtLeast,
    addToBuckets,
    gatherBucket,
    multiply,
    areBelowInfinity,
  ])
}
