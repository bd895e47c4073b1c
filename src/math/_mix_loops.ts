// The loops behind `mixInto`: a function for each number of rows of nonzero weight, since JSC leaves
// a loop slow that was unused when it compiled the function around it. Each also does what surrounds
// its loop, which keeps it over 100 bytes of bytecode: shorter functions V8 inlines into their
// caller's Maglev code, where the loop stays at half its speed for 3000 calls.

export function mixOne(
  base: Float32Array,
  a: Float32Array,
  weightA: number,
  out: Float32Array,
): void {
  const shared = Math.min(base.length, a.length)
  if (weightA < 0) {
    for (let v = 0; v < shared; v++) out[v] = a[v] === -Infinity ? a[v] : base[v] + weightA * a[v]
  } else {
    for (let v = 0; v < shared; v++) out[v] = base[v] + weightA * a[v]
  }
  excludeFrom(shared, out)
}

export function mixTwo(
  base: Float32Array,
  a: Float32Array,
  weightA: number,
  b: Float32Array,
  weightB: number,
  out: Float32Array,
): void {
  const shared = Math.min(base.length, a.length, b.length)
  for (let v = 0; v < shared; v++) out[v] = base[v] + weightA * a[v] + weightB * b[v]
  excludeIds(a, weightA, out, shared)
  excludeIds(b, weightB, out, shared)
  excludeFrom(shared, out)
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
): void {
  const shared = Math.min(base.length, a.length, b.length, c.length)
  for (let v = 0; v < shared; v++) {
    out[v] = base[v] + weightA * a[v] + weightB * b[v] + weightC * c[v]
  }
  excludeIds(a, weightA, out, shared)
  excludeIds(b, weightB, out, shared)
  excludeIds(c, weightC, out, shared)
  excludeFrom(shared, out)
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
): void {
  const shared = Math.min(base.length, a.length, b.length, c.length, d.length)
  for (let v = 0; v < shared; v++) {
    out[v] = base[v] + weightA * a[v] + weightB * b[v] + weightC * c[v] + weightD * d[v]
  }
  excludeIds(a, weightA, out, shared)
  excludeIds(b, weightB, out, shared)
  excludeIds(c, weightC, out, shared)
  excludeIds(d, weightD, out, shared)
  excludeFrom(shared, out)
}

// A chunk of float64 sums stays in the first-level cache. All calls share it: each runs to its end.
const CHUNK = 1024
const sums = new Float64Array(CHUNK)

/** Any number of rows; those of weight 0 are left out. */
export function mixMany(
  base: Float32Array,
  rows: readonly Float32Array[],
  weights: ArrayLike<number>,
  out: Float32Array,
): void {
  let shared = base.length
  for (let r = 0; r < rows.length; r++) {
    if (weights[r] !== 0) shared = Math.min(shared, rows[r].length)
  }
  for (let from = 0; from < shared; from += CHUNK) {
    const count = Math.min(CHUNK, shared - from)
    for (let j = 0; j < count; j++) sums[j] = base[from + j]
    for (let r = 0; r < rows.length; r++) {
      const row = rows[r]
      const weight = weights[r]
      if (weight === 0) continue
      for (let j = 0; j < count; j++) sums[j] += weight * row[from + j]
    }
    for (let j = 0; j < count; j++) out[from + j] = sums[j]
  }
  for (let r = 0; r < rows.length; r++) excludeIds(rows[r], weights[r], out, shared)
  excludeFrom(shared, out)
}

// Under a positive weight -Infinity carries itself through the sums; a negative one turned it into
// Infinity or NaN.
function excludeIds(row: Float32Array, weight: number, out: Float32Array, shared: number): void {
  if (weight >= 0) return
  for (let v = 0; v < shared; v++) if (row[v] === -Infinity) out[v] = -Infinity
}

function excludeFrom(shared: number, out: Float32Array): void {
  if (shared < out.length) out.fill(-Infinity, shared)
}
