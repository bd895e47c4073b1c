/**
 * The instructions of WebAssembly that the kernels use, as functions from operands to code; names
 * are those of the text format, https://webassembly.github.io/spec/core/text/instructions.html
 */
import { type Code, float32, type Local, signed, unsigned } from "./assembler.ts"

type Binary = (a: Code, b: Code) => Code
type Unary = (a: Code) => Code

/** Loads from an address plus a constant. */
type Load = (address: Code, offset?: number) => Code
/** Stores a value at an address plus a constant. */
type Store = (address: Code, value: Code, offset?: number) => Code

const unary = (opcode: number): Unary => (a) => [...a, opcode]
const binary = (opcode: number): Binary => (a, b) => [...a, ...b, opcode]
const vector = (opcode: number): Code => [0xfd, ...unsigned(opcode)]
const vectorUnary = (opcode: number): Unary => (a) => [...a, ...vector(opcode)]
const vectorBinary = (opcode: number): Binary => (a, b) => [...a, ...b, ...vector(opcode)]
const lane = (opcode: number) => (a: Code, index: number): Code => [...a, ...vector(opcode), index]

// The alignment is only a hint: 4 bytes, which every float32 has.
const load = (opcode: Code): Load => (address, offset = 0) => [
  ...[...address, ...opcode, 2],
  ...unsigned(offset),
]
const store = (opcode: Code): Store => (address, value, offset = 0) => [
  ...[...address, ...value, ...opcode, 2],
  ...unsigned(offset),
]

/** One int32. */
export const i32 = {
  const: (value: number): Code => [0x41, ...signed(value)],
  store: store([0x36]),
  eq: binary(0x46),
  ltU: binary(0x49),
  add: binary(0x6a),
  sub: binary(0x6b),
  and: binary(0x71),
  shl: binary(0x74),
  shrU: binary(0x76),
  ctz: unary(0x68),
} as const

/** One float32. */
export const f32 = {
  store: store([0x38]),
} as const

/** One float64. */
export const f64 = {
  zero: [0x44, 0, 0, 0, 0, 0, 0, 0, 0] as Code,
  load: load([0x2b]),
  store: store([0x39]),
  add: binary(0xa0),
  promoteF32: unary(0xbb),
} as const

/** 16 bytes. */
export const v128 = {
  load: load(vector(0x00)),
  store: store(vector(0x0b)),
  and: vectorBinary(0x4e),
  or: vectorBinary(0x50),
  /** The bits of `a` where those of `mask` are set, of `b` elsewhere. */
  bitselect: (a: Code, b: Code, mask: Code): Code => [...a, ...b, ...mask, ...vector(0x52)],
} as const

/** Four int32. */
export const i32x4 = {
  splat: vectorUnary(0x11),
  extractLane: lane(0x1b),
  ltS: vectorBinary(0x39),
  geS: vectorBinary(0x3f),
  bitmask: vectorUnary(0xa4),
  shl: (a: Code, bits: number): Code => [...a, ...i32.const(bits), ...vector(0xab)],
  shrU: (a: Code, bits: number): Code => [...a, ...i32.const(bits), ...vector(0xad)],
} as const

/** Four float32. */
export const f32x4 = {
  /** The same constant in all lanes. */
  const: (value: number): Code => [
    ...vector(0x0c),
    ...[value, value, value, value].flatMap(float32),
  ],
  splat: vectorUnary(0x13),
  extractLane: lane(0x1f),
  eq: vectorBinary(0x41),
  lt: vectorBinary(0x43),
  ge: vectorBinary(0x46),
  add: vectorBinary(0xe4),
  sub: vectorBinary(0xe5),
  mul: vectorBinary(0xe6),
  /** `a < b ? b : a`: NaN in `b` is passed over, NaN in `a` stays. */
  pmax: vectorBinary(0xeb),
  /** The lanes named, of `a`. */
  shuffle: (a: Code, lanes: readonly [number, number, number, number]): Code => [
    ...[...a, ...a, ...vector(0x0d)],
    ...lanes.flatMap((from) => [0, 1, 2, 3].map((byte) => 4 * from + byte)),
  ],
} as const

/** Two float64. */
export const f64x2 = {
  splat: vectorUnary(0x14),
  extractLane: lane(0x21),
  add: vectorBinary(0xf0),
  promoteLowF32x4: vectorUnary(0x5f),
} as const

/** Runs the body, and again so long as the condition holds after it. */
export function repeat(body: Code, condition: Code): Code {
  return [0x03, 0x40, ...body, ...condition, 0x0d, 0x00, 0x0b]
}

/** Runs the body if the condition is not 0. */
export function when(condition: Code, body: Code): Code {
  return [...condition, 0x04, 0x40, ...body, 0x0b]
}

/** Bytes of a vector. */
export const VECTOR = 16

/** 0, 1, ... to before `count`. */
export const range = (count: number): number[] => [...Array(count).keys()]

/** Moves a pointer on. */
export const advance = (pointer: Local, bytes: number): Code =>
  pointer.set(i32.add(pointer.get, i32.const(bytes)))
