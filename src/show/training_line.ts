/** One line of a terminal that shows how far a training is. */
import process from "node:process"
import type { Progress, TrainingProgress } from "../files/progress.ts"
import { duration, ERASE, fit, type LineStream, progressLine } from "./progress_line.ts"

/**
 * Makes a self-overwriting line, e.g. `step 120/600  loss 1.873  held out 1.912  5321 tokens/s
 * 4 min left`, which also shows downloads before the first step. On a stream that is no terminal it
 * writes nothing at all.
 */
export function trainingLine(stream: LineStream = process.stderr): {
  readonly report: (progress: TrainingProgress | Progress) => void
  readonly done: () => void
} {
  const files = progressLine(stream)
  let drawn = false
  return {
    report(progress) {
      if (progress.stage !== "train") return files.report(progress)
      if (!stream.isTTY) return
      files.done()
      stream.write(ERASE + fit(describe(progress), stream.columns || 80))
      drawn = true
    },
    done() {
      files.done()
      if (drawn) stream.write(ERASE)
      drawn = false
    },
  }
}

function describe(r: TrainingProgress): string[] {
  return [
    `step ${r.step}/${r.steps}`,
    `loss ${r.loss.toFixed(3)}`,
    ...r.accuracy === undefined ? [] : [`accuracy ${(100 * r.accuracy).toFixed(0)} %`],
    ...r.heldOutLoss === undefined ? [] : [`held out ${r.heldOutLoss.toFixed(3)}`],
    `${Math.round(r.tokensPerSecond)} tokens/s`,
    `${duration(r.secondsLeft)} left`,
  ]
}
