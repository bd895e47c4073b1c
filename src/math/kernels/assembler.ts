/**
 * A small assembler for WebAssembly: functions over one imported memory, written as expressions.
 *
 * An expression is its bytes, in the order of a stack machine: operands before their operator. The
 * engine checks types and balance when it compiles the module.
 * https://webassembly.github.io/spec/core/binary/
 */

/** The bytes of an expression, or of statements. */
export type Code = readonly number[]

/** What a parameter, a result or a local holds. */
export type ValueType = "i32" | "f32" | "f64" | "v128"

/** A parameter or a local of a function. */
export interface Local {
  readonly get: Code
  /** Stores the value of an expression. */
  set(value: Code): Code
  /** Stores it and leaves it. */
  tee(value: Code): Code
}

/** A function of a module. */
export interface FunctionSource {
  readonly name: string
  readonly params: readonly ValueType[]
  readonly result: ValueType | undefined
  readonly locals: readonly ValueType[]
  readonly body: Code
}

const typeCodes = { i32: 0x7f, f32: 0x7d, f64: 0x7c, v128: 0x7b } as const

/**
 * Writes a function. `write` gets its parameters, and `local`, which declares further variables,
 * all of them 0 at first; it gives the body, which leaves the result.
 */
export function define<Name extends string>(
  name: string,
  params: Readonly<Record<Name, ValueType>>,
  result: ValueType | undefined,
  write: (params: Readonly<Record<Name, Local>>, local: (type: ValueType) => Local) => Code,
): FunctionSource {
  const types = Object.values<ValueType>(params)
  const locals: ValueType[] = []
  const named = Object.fromEntries(Object.keys(params).map((key, index) => [key, at(index)]))
  const body = write(
    named as Record<Name, Local>,
    (type) => at(types.length + locals.push(type) - 1),
  )
  return { name, params: types, result, locals, body }
}

function at(index: number): Local {
  return {
    get: [0x20, ...unsigned(index)],
    set: (value) => [...value, 0x21, ...unsigned(index)],
    tee: (value) => [...value, 0x22, ...unsigned(index)],
  }
}

/** The bytes of a module that exports the functions and imports the memory `env.memory`. */
export function assemble(functions: readonly FunctionSource[]): Uint8Array<ArrayBuffer> {
  const types = functions.map(({ params, result }) => [
    ...[0x60, ...counted(params.map((type) => [typeCodes[type]]))],
    ...counted(result === undefined ? [] : [[typeCodes[result]]]),
  ])
  const memory = [...text("env"), ...text("memory"), 0x02, 0x00, 0x01]
  const bodies = functions.map(({ locals, body }) => {
    const code = [...counted(locals.map((type) => [1, typeCodes[type]])), ...body, 0x0b]
    return [...unsigned(code.length), ...code]
  })
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, types),
    ...section(2, [memory]),
    ...section(3, functions.map((_, index) => unsigned(index))),
    ...section(7, functions.map(({ name }, index) => [...text(name), 0x00, ...unsigned(index)])),
    ...section(10, bodies),
  ])
}

function section(id: number, entries: readonly Code[]): Code {
  const content = counted(entries)
  return [id, ...unsigned(content.length), ...content]
}

function counted(entries: readonly Code[]): Code {
  return [...unsigned(entries.length), ...entries.flat()]
}

function text(value: string): Code {
  const bytes = new TextEncoder().encode(value)
  return [...unsigned(bytes.length), ...bytes]
}

/** LEB128 of an integer that is not negative. */
export function unsigned(value: number): Code {
  return value < 0x80 ? [value] : [value & 0x7f | 0x80, ...unsigned(value >>> 7)]
}

/** LEB128 of an int32. */
export function signed(value: number): Code {
  return value >= -0x40 && value < 0x40
    ? [value & 0x7f]
    : [value & 0x7f | 0x80, ...signed(value >> 7)]
}

/** The four bytes of a float32, the lowest first. */
export function float32(value: number): Code {
  return [...new Uint8Array(Float32Array.of(value).buffer)]
}
