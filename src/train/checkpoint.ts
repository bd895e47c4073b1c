/**
 * Checkpoints: everything from which a training goes on as if it had never stopped, bit for bit, in
 * one file that is replaced as a whole. A kill while one is written leaves the one before.
 */
import { existsSync } from "node:fs"
import { rm } from "node:fs/promises"
import { join } from "node:path"
import { GenArmError } from "../errors.ts"
import { openSafetensors } from "../files/safetensors.ts"
import { writeSafetensors } from "../files/write_safetensors.ts"

/** What the run must have in common with the one it goes on from, by name. */
export type Fingerprint = Readonly<Record<string, unknown>>

/** The numbers of a training besides its arrays. */
export interface CheckpointState {
  /** Steps taken. */
  readonly step: number
  readonly [key: string]: unknown
}

/** Arrays by name, all read from or written to the file. */
export type CheckpointArrays = Readonly<Record<string, Float32Array>>

const fileName = "checkpoint.safetensors"

/** Writes the checkpoint of a folder. */
export async function saveCheckpoint(
  folder: string,
  fingerprint: Fingerprint,
  state: CheckpointState,
  arrays: CheckpointArrays,
): Promise<void> {
  await writeSafetensors(
    join(folder, fileName),
    Object.entries(arrays).map(([name, data]) => ({ name, shape: [data.length], data })),
    { fingerprint: JSON.stringify(fingerprint), state: JSON.stringify(state) },
  )
}

/** Whether a folder has one. */
export function hasCheckpoint(folder: string): boolean {
  return existsSync(join(folder, fileName))
}

/** Removes the checkpoint of a training that has ended. */
export async function removeCheckpoint(folder: string): Promise<void> {
  await rm(join(folder, fileName), { force: true })
}

/**
 * Reads a checkpoint into arrays of the same sizes, and gives its state.
 *
 * `CheckpointMismatch` for one of another training, with what differs; `InvalidModelFile` for a file
 * that is damaged.
 */
export async function loadCheckpoint(
  folder: string,
  fingerprint: Fingerprint,
  arrays: CheckpointArrays,
): Promise<CheckpointState> {
  const path = join(folder, fileName)
  const store = await openSafetensors(path)
  try {
    const saved = parse(store.metadata.fingerprint, path) as Fingerprint
    const differing = [...new Set([...Object.keys(saved), ...Object.keys(fingerprint)])]
      .filter((key) => JSON.stringify(saved[key]) !== JSON.stringify(fingerprint[key]))
    if (differing.length > 0) {
      const key = differing[0]
      throw new GenArmError(
        { _tag: "CheckpointMismatch", file: path, differing },
        `${path} belongs to another training, which differs in ${differing.join(", ")}: expected ` +
          `${key} ${print(fingerprint[key])}, found ${print(saved[key])}; repeat that training's ` +
          "specification to go on with it, or pass { resume: false } to begin anew",
      )
    }
    for (const [name, target] of Object.entries(arrays)) {
      const [size] = store.shape(name)
      if (size !== target.length) {
        throw new GenArmError(
          { _tag: "InvalidModelFile", file: path },
          `${path}: expected ${target.length} numbers in "${name}", found ${size}`,
        )
      }
      await store.readInto(name, target, 0)
    }
    return parse(store.metadata.state, path) as CheckpointState
  } finally {
    await store.close()
  }
}

function parse(text: string | undefined, path: string): unknown {
  try {
    return JSON.parse(text ?? "")
  } catch (cause) {
    throw new GenArmError(
      { _tag: "InvalidModelFile", file: path },
      `${path} is not a checkpoint of a training: its metadata has no state`,
      { cause },
    )
  }
}

function print(value: unknown): string {
  const text = JSON.stringify(value) ?? "none"
  return text.length > 120 ? `${text.slice(0, 117)}...` : text
}
