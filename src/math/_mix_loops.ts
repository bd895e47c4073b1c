// The loops behind `mixInto`, over the ids `[from, to)` of one block, which every row has.

import { BLOCK } from "./_block.ts"

export function mixOne(
  base: Float32Array,
  a: Float32Array,
  weightA: number,
  out: Float32Array,
  from: number,
  to: number,
): void {
  for (let v = from; v < to; v++) out[v] = base[v] + weightA * a[v]
}

export function mixTwo(
  base: Float32Array,
  a: Float32Array,
  weightA: number,
  b: Float32Array,
  weightB: number,
  out: Float32Array,
  from: number,
  to: number,
): void {
  for (let v = from; v < to; v++) out[v] = base[v] + weightA * a[v] + weightB * b[v]
}

export function mixThree(
  base: Float32Array,
  a: Float32Array,
  weightA: number,
  b: Float32Array,
  weightB: number,
  c: Float32Array,
  weightC: number,
  out: Float32Array,
  from: number,
  to: number,
): void {
  for (let v = from; v < to; v++) {
    out[v] = base[v] + weightA * a[v] + weightB * b[v] + weightC * c[v]
  }
}

export function mixFour(
  base: Float32Array,
  a: Float32Array,
  weightA: number,
  b: Float32Array,
  weightB: number,
  c: Float32Array,
  weightC: number,
  d: Float32Array,
  weightD: number,
  out: Float32Array,
  from: number,
  to: number,
): void {
  for (let v = from; v < to; v++) {
    out[v] = base[v] + weightA * a[v] + weightB * b[v] + weightC * c[v] + weightD * d[v]
  }
}

// `[BLOCK]`: float64 sums. All calls share it: none gives way to another before its end.
const sums = new Float64Array(BLOCK)

/** Any number of rows; those of weight 0 are left out. */
export function mixMany(
  base: Float32Array,
  rows: readonly Float32Array[],
  weights: ArrayLike<number>,
  out: Float32Array,
  from: number,
  to: number,
): void {
  for (let v = from; v < to; v++) sums[v - from] = base[v]
  for (let r = 0; r < rows.length; r++) {
    if (weights[r] !== 0) addRow(rows[r], weights[r], from, to)
  }
  for (let v = from; v < to; v++) out[v] = sums[v - from]
}

function addRow(row: Float32Array, weight: number, from: number, to: number): void {
  for (let v = from; v < to; v++) sums[v - from] += weight * row[v]
}

/** The ids to which `row` gives -Infinity get it, where a negative weight made them Infinity or NaN. */
export function excludeIds(row: Float32Array, out: Float32Array, from: number, to: number): void {
  for (let v = from; v < to; v++) if (row[v] === -Infinity) out[v] = -Infinity
}
