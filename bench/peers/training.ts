/** The peers of the training bench, by name: each runs the same step in a process of its own. */
import process from "node:process"
import { fileURLToPath } from "node:url"
import { type PeerResult, runPeer, runScriptPeer } from "./_run_peer.ts"
import { standardTask, type TrainingFigures, type TrainingTask } from "./_training_step.ts"

/**
 * PyTorch on the CPU, of the Python that `GENARM_PYTHON` names, or `python3`.
 */
export function torchTraining(task: TrainingTask): Promise<PeerResult<TrainingFigures>> {
  const script = fileURLToPath(new URL("./torch_training.py", import.meta.url))
  return runPeer(process.env.GENARM_PYTHON ?? "python3", ["-B", script, JSON.stringify(task)])
}

/** TensorFlow.js on WebAssembly, installed when it is first asked for. */
export function tfjsTraining(task: TrainingTask): Promise<PeerResult<TrainingFigures>> {
  return runScriptPeer(new URL("./tfjs_training.ts", import.meta.url), [JSON.stringify(task)])
}

if (import.meta.main) {
  const task = process.argv[2] === undefined
    ? standardTask
    : { ...standardTask, ...JSON.parse(process.argv[2]) }
  for (const run of [torchTraining, tfjsTraining]) {
    process.stdout.write(`${run.name} ${JSON.stringify(await run(task))}\n`)
  }
}
