/** The learning rate over a training: linear warm-up, then constant, linear or cosine decay to 0. */

/** How the rate falls after the warm-up. */
export type LearningRateSchedule = "constant" | "linear" | "cosine"

/**
 * The factor on the peak rate at a step, counted from 0, as in transformers'
 * `get_linear_schedule_with_warmup` and its kin.
 */
export function learningRateFactor(
  schedule: LearningRateSchedule,
  step: number,
  { warmup, steps }: { readonly warmup: number; readonly steps: number },
): number {
  if (step < warmup) return step / Math.max(1, warmup)
  const progress = (step - warmup) / Math.max(1, steps - warmup)
  switch (schedule) {
    case "constant":
      return 1
    case "linear":
      return Math.max(0, 1 - progress)
    case "cosine":
      // Rounded to float32: engines differ in the last bit of a cosine.
      return Math.max(0, Math.fround(0.5 * (1 + Math.cos(Math.PI * progress))))
  }
}
