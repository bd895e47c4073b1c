// The loops behind `mixInto`, over the ids `[0, shared)` that every row has: one statement an
// element for up to four rows, and chunks of float64 sums for more.

export function mixOne(
  base: Float32Array,
  a: Float32Array,
  weightA: number,
  out: Float32Array,
  shared: number,
): void {
  for (let v = 0; v < shared; v++) out[v] = base[v] + weightA * a[v]
}

export function mixTwo(
  base: Float32Array,
  a: Float32Array,
  weightA: number,
  b: Float32Array,
  weightB: number,
  out: Float32Array,
  shared: number,
): void {
  for (let v = 0; v < shared; v++) out[v] = base[v] + weightA * a[v] + weightB * b[v]
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
  shared: number,
): void {
  for (let v = 0; v < shared; v++) {
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
  shared: number,
): void {
  for (let v = 0; v < shared; v++) {
    out[v] = base[v] + weightA * a[v] + weightB * b[v] + weightC * c[v] + weightD * d[v]
  }
}

// One chunk of sums stays in the first-level cache. All calls share it: none gives way to another.
const CHUNK = 1024
const sums = new Float64Array(CHUNK)

/** Any number of rows; those of weight 0 are left out. */
export function mixMany(
  base: Float32Array,
  rows: readonly Float32Array[],
  weights: ArrayLike<number>,
  out: Float32Array,
  shared: number,
): void {
  for (let from = 0; from < shared; from += CHUNK) {
    const count = Math.min(CHUNK, shared - from)
    for (let j = 0; j < count; j++) sums[j] = base[from + j]
    for (let i = 0; i < rows.length; i++) {
      if (weights[i] !== 0) addRow(rows[i], weights[i], from, count)
    }
    for (let j = 0; j < count; j++) out[from + j] = sums[j]
  }
}

function addRow(row: Float32Array, weight: number, from: number, count: number): void {
  for (let j = 0; j < count; j++) sums[j] += weight * row[from + j]
}
