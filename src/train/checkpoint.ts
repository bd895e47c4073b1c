/**
 * Checkpoints: everything from which a training goes on as if it had never stopped, bit for bit, in
 * one file that is replaced as a whole. A kill while one is written leaves the one before.
 */
import { existsSync } from "node:fs"
import { rm } from "node:fs/promises"
import { join } from "node:path"
import { GenArmError, messageOf } from "../errors.ts"
import { openSafetensors } from "../files/safetensors.ts"
import { writeSafetensors } from "../files/write_safetensors.ts"

/** What the run must have in common with the one it goes on from, by name; plain data. */
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

/** Removes a checkpoint: its training has ended, or is to begin anew. */
export async function removeCheckpoint(folder: string): Promise<void> {
  const path = join(folder, fileName)
  try {
    await rm(path, { force: true })
  } catch (error) {
    throw new GenArmError(
      { _tag: "WriteFailed", file: path },
      `${path} could not be removed: ${messageOf(error)}; check the permissions of the folder`,
      { cause: error },
    )
  }
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
    // What an earlier version did not save cannot be compared.
    const differing = Object.keys(saved)
      .filter((key) => JSON.stringify(saved[key]) !== JSON.stringify(fingerprint[key]))
    if (differing.length > 0) {
      const [key] = differing
      const [expected, found] = printDifference(fingerprint[key], saved[key])
      throw new GenArmError(
        { _tag: "CheckpointMismatch", file: path, differing },
        `${path} belongs to another training, which differs in ${differing.join(", ")}: expected ` +
          `${key} ${expected}, found ${found}; repeat that training's specification to go on with ` +
          "it, or pass { resume: false } to begin anew",
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
    const state = parse(store.metadata.state, path) as CheckpointState
    if (Number.isSafeInteger(state.step) && state.step >= 0) return state
    throw notACheckpoint(path)
  } finally {
    await store.close()
  }
}

function parse(text: string | undefined, path: string): object {
  try {
    const value: unknown = JSON.parse(text ?? "")
    if (typeof value === "object" && value !== null) return value
  } catch (cause) {
    throw notACheckpoint(path, cause)
  }
  throw notACheckpoint(path)
}

function notACheckpoint(path: string, cause?: unknown): GenArmError {
  return new GenArmError(
    { _tag: "InvalidModelFile", file: path },
    `${path} is not a checkpoint of a training: its metadata has no state; remove it, or pass ` +
      "{ resume: false } to begin anew",
    { cause },
  )
}

/** Two values, each from a little before where they part. */
function printDifference(a: unknown, b: unknown): [string, string] {
  const [one, other] = [a, b].map((value) => JSON.stringify(value) ?? "none")
  let same = 0
  while (same < one.length && one[same] === other[same]) same++
  const from = same > 60 ? same - 20 : 0
  const print = (text: string) =>
    (from > 0 ? "..." : "") + text.slice(from, from + 90) + (text.length > from + 90 ? "..." : "")
  return [print(one), print(other)]
}
