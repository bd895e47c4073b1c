/** The log of a training: JSON lines, one for each report. */
import { existsSync } from "node:fs"
import { appendFile, readFile } from "node:fs/promises"
import { join } from "node:path"
import { GenArmError, messageOf } from "../errors.ts"
import { writeFileAtomic } from "../files/write_file.ts"

/** Figures of the steps since the entry before. */
export interface TrainingEntry {
  /** Steps taken. */
  readonly step: number
  /** Means over these steps: `loss`, and what the objective reports. */
  readonly train: Readonly<Record<string, number>>
  /** The rate of the last of them. */
  readonly learningRate: number
  /** The norm of its gradient, before clipping. */
  readonly gradientNorm: number
  /** Tokens computed so far, padding included. */
  readonly tokens: number
  /** Time spent so far, in seconds. */
  readonly seconds: number
}

/** Figures of the held-out data. */
export interface EvaluationEntry {
  /** Steps taken. */
  readonly step: number
  /** Means over the held-out data. */
  readonly heldOut: Readonly<Record<string, number>>
}

/** A line of the log. */
export type LogEntry = TrainingEntry | EvaluationEntry

const fileName = "training_log.jsonl"

/** The log of one folder. */
export class TrainingLog {
  readonly #path: string
  readonly #entries: LogEntry[]

  private constructor(path: string, entries: LogEntry[]) {
    this.#path = path
    this.#entries = entries
  }

  /** Opens the log with what was logged up to a step; what comes after is about to be repeated. */
  static async open(folder: string, upToStep: number): Promise<TrainingLog> {
    const path = join(folder, fileName)
    const kept: LogEntry[] = []
    if (upToStep >= 0 && existsSync(path)) {
      for (const line of (await readFile(path, "utf8")).split("\n")) {
        // A kill may have cut the last line.
        const entry = parseLine(line)
        if (entry?.step !== undefined && entry.step <= upToStep) kept.push(entry)
      }
    }
    await writeFileAtomic(path, kept.map(lineOf).join(""))
    return new TrainingLog(path, kept)
  }

  /** All entries so far. */
  get entries(): readonly LogEntry[] {
    return this.#entries
  }

  /** Adds an entry. */
  async add(entry: LogEntry): Promise<void> {
    this.#entries.push(entry)
    try {
      await appendFile(this.#path, lineOf(entry))
    } catch (error) {
      throw new GenArmError(
        { _tag: "WriteFailed", file: this.#path },
        `${this.#path} could not be written: ${
          messageOf(error)
        }; check the space left on the disk ` +
          "and the permissions of the folder, then train again to go on from the last checkpoint",
        { cause: error },
      )
    }
  }
}

function lineOf(entry: LogEntry): string {
  return JSON.stringify(entry) + "\n"
}

function parseLine(line: string): LogEntry | null | undefined {
  try {
    return line === "" ? undefined : JSON.parse(line)
  } catch {
    return undefined
  }
}
