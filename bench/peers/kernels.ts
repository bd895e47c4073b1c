/** The peers of the kernels' bench, by name: each mixes and draws in a process of its own. */
import process from "node:process"
import { fileURLToPath } from "node:url"
import { type PeerResult, runPeer } from "./_run_peer.ts"

/** What a peer is to do. */
export interface KernelTask {
  /** Pairs of a vocabulary and a number of rewards. */
  readonly cases: readonly (readonly [number, number])[]
  /** How long it may time each kind of work. */
  readonly seconds: number
}

/** What a peer measured. */
export interface KernelFigures {
  /** Its name and version. */
  readonly peer: string
  /** Medians in microseconds by case, as `"vocabulary rewards"`; mixing is part of every draw. */
  readonly us: Readonly<Record<string, Readonly<Record<"mix" | "draw" | "topP", number>>>>
}

/** NumPy, of the Python that `GENARM_PYTHON` names. */
export function numpyKernels(task: KernelTask): Promise<PeerResult<KernelFigures>> {
  return runPython("./numpy_kernels.py", task)
}

/** PyTorch on the CPU, of the Python that `GENARM_PYTHON` names. */
export function torchKernels(task: KernelTask): Promise<PeerResult<KernelFigures>> {
  return runPython("./torch_kernels.py", task)
}

function runPython(file: string, task: KernelTask): Promise<PeerResult<KernelFigures>> {
  const python = process.env.GENARM_PYTHON
  if (python === undefined) {
    return Promise.resolve({ skipped: "GENARM_PYTHON names no Python that has it" })
  }
  const script = fileURLToPath(new URL(file, import.meta.url))
  return runPeer(python, ["-B", script, JSON.stringify(task)])
}
