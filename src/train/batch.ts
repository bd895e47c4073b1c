/** Rows of token ids that one run of the training graph takes. */

/** A batch; row by row, padded at the end. */
export interface Batch {
  readonly rows: number
  readonly tokens: number
  /** `[rows, tokens]` */
  readonly ids: BigInt64Array
  /** `[rows * tokens]`: the token after each. */
  readonly targets: BigInt64Array
  /** `[rows, tokens]`: 1 where the target is scored. */
  readonly mask: Float32Array
  /** 1 / examples of the step that the batch belongs to. */
  readonly unit: number
  /** `[rows / 2]` for pairs: 0 for one that only fills up the batch. */
  readonly present?: Float32Array
  /** `[rows]` for pairs: log-probabilities under the frozen reference. */
  readonly reference?: Float32Array
}

/** One row to be laid out. */
export interface BatchRow {
  /** The tokens; the last is a target only. */
  readonly ids: ArrayLike<number>
  /** Whether the token at an index is scored as a target; the first never is. */
  readonly isScored: (index: number) => boolean
}

/** Lays rows out as arrays of a batch `tokens` wide; each row has at most `tokens + 1` ids. */
export function layOut(
  rows: readonly BatchRow[],
  tokens: number,
): Pick<Batch, "rows" | "tokens" | "ids" | "targets" | "mask"> {
  const ids = new BigInt64Array(rows.length * tokens)
  const targets = new BigInt64Array(rows.length * tokens)
  const mask = new Float32Array(rows.length * tokens)
  rows.forEach((row, r) => {
    if (row.ids.length > tokens + 1) {
      throw new RangeError(`internal: a row of ${row.ids.length} ids in a batch ${tokens} wide`)
    }
    for (let i = 0; i + 1 < row.ids.length; i++) {
      const at = r * tokens + i
      ids[at] = BigInt(row.ids[i])
      targets[at] = BigInt(row.ids[i + 1])
      if (row.isScored(i + 1)) mask[at] = 1
    }
  })
  return { rows: rows.length, tokens, ids, targets, mask }
}

/** A length rounded up to a bucket, so that few different graphs are needed. */
export function bucketOf(length: number, bucket: number, most: number): number {
  return Math.min(Math.ceil(length / bucket) * bucket, most)
}
