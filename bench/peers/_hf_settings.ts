/** How a ready-made export is opened, by transformers.js and beside it. */
import type { InferenceSession } from "onnxruntime-node"

/** Settings of one session. */
export interface HfSettings {
  /** The subfolder of the model that holds `model.onnx`. */
  readonly subfolder: string
  readonly threads: number
  readonly spin: Spin
}

/**
 * For how long idle threads of a session look for work before they sleep: long, as is the default and
 * best for one session on a quiet machine; not at all; or for 100 microseconds, which bridges the
 * time between two operators and leaves the cores to others between two steps.
 */
export type Spin = keyof typeof spins

const spins = {
  on: {},
  off: { allow_spinning: "0" },
  briefly: { spin_duration_us: "100" },
}

/** The options of ONNX Runtime. */
export function sessionOptions({ threads, spin }: HfSettings): InferenceSession.SessionOptions {
  return {
    intraOpNumThreads: threads,
    logSeverityLevel: 4,
    extra: { session: { intra_op: spins[spin] } },
  }
}
