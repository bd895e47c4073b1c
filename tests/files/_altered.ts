/** Model folders made for one test: copies of fixtures with something changed, gone afterwards. */
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fixture } from "../_fixtures.ts"

/** A folder that is removed at the end of its `using` scope. */
export interface TemporaryFolder extends Disposable {
  readonly path: string
}

/** An empty folder. */
export function temporaryFolder(): TemporaryFolder {
  const path = realpathSync(mkdtempSync(join(tmpdir(), "genarm-test-")))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

/** What becomes of a file: new contents, new values for some keys of its JSON, or `null`: removed. */
export type Change = string | Uint8Array | { readonly json: object } | null

/** A copy of a fixture folder with some files changed. */
export function altered(name: string, changes: Readonly<Record<string, Change>>): TemporaryFolder {
  const folder = temporaryFolder()
  cpSync(fixture(name), folder.path, { recursive: true })
  for (const [file, change] of Object.entries(changes)) {
    const path = join(folder.path, file)
    if (change === null) {
      rmSync(path)
      continue
    }
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(
      path,
      typeof change === "string" || change instanceof Uint8Array
        ? change
        : JSON.stringify({ ...JSON.parse(readFileSync(path, "utf8")), ...change.json }),
    )
  }
  return folder
}

/** A tensor as a `.safetensors` file holds it. */
export interface StoredTensor {
  readonly dtype: string
  readonly shape: readonly number[]
  readonly data: Uint8Array
}

/** A tensor of float32 values. */
export function float32(shape: readonly number[], values: ArrayLike<number>): StoredTensor {
  return { dtype: "F32", shape, data: new Uint8Array(Float32Array.from(values).buffer) }
}

/** The bytes of a file whose header says what is given, whether true or not. */
export function safetensorsBytes(header: unknown, data: Uint8Array): Uint8Array {
  const text = new TextEncoder().encode(
    typeof header === "string" ? header : JSON.stringify(header),
  )
  const bytes = new Uint8Array(8 + text.length + data.length)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true)
  bytes.set(text, 8)
  bytes.set(data, 8 + text.length)
  return bytes
}

/** The bytes of a sound file with these tensors. */
export function encodeSafetensors(tensors: Readonly<Record<string, StoredTensor>>): Uint8Array {
  const header: Record<string, unknown> = {}
  let at = 0
  for (const [name, { dtype, shape, data }] of Object.entries(tensors)) {
    header[name] = { dtype, shape, data_offsets: [at, at += data.length] }
  }
  const data = new Uint8Array(at)
  at = 0
  for (const tensor of Object.values(tensors)) {
    data.set(tensor.data, at)
    at += tensor.data.length
  }
  return safetensorsBytes(header, data)
}

/** The tensors of a file, the obvious way. */
export function decodeSafetensors(file: Uint8Array): Record<string, StoredTensor> {
  const bytes = new Uint8Array(file) // what node:fs reads has a `slice` that copies nothing
  const view = new DataView(bytes.buffer)
  const start = 8 + Number(view.getBigUint64(0, true))
  const { __metadata__: _, ...header } = JSON.parse(
    new TextDecoder().decode(bytes.subarray(8, start)),
  )
  return Object.fromEntries(
    Object.entries(
      header as Record<string, { dtype: string; shape: number[]; data_offsets: number[] }>,
    )
      .map(([name, { dtype, shape, data_offsets: [begin, end] }]) => [
        name,
        { dtype, shape, data: bytes.slice(start + begin, start + end) },
      ]),
  )
}

/** A fixture's tensors. */
export function tensorsOf(name: string): Record<string, StoredTensor> {
  return decodeSafetensors(readFileSync(join(fixture(name), "model.safetensors")))
}

/** A copy of a fixture whose model gives NaN wherever a text holds the id `poison`. */
export function poisoned(name: string, poison: number): TemporaryFolder {
  const tensors = tensorsOf(name)
  const embedding = tensors["model.embed_tokens.weight"]
  const values = new Float32Array(embedding.data.slice().buffer)
  const width = embedding.shape[1]
  values.fill(NaN, poison * width, (poison + 1) * width)
  return altered(name, {
    "model.safetensors": encodeSafetensors({
      ...tensors,
      "model.embed_tokens.weight": float32(embedding.shape, values),
    }),
  })
}
