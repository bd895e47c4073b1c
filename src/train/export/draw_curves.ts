/** The curves of a training run as one picture: losses, and accuracy below where there is any. */
import { lineChart, type Point, stackCharts } from "../../show/line_chart.ts"
import type { CurvePoint } from "./training_record.ts"

/** More points of the training loss than that are averaged in groups. */
const mostPoints = 200

/** SVG text; `undefined` where there is nothing to draw. */
export function drawCurves(curve: readonly CurvePoint[]): string | undefined {
  const taken = (key: "trainingLoss" | "heldOutLoss" | "heldOutAccuracy"): Point[] =>
    curve.flatMap((point): Point[] => {
      const value = point[key]
      return value === undefined ? [] : [[point.step, value]]
    })
  const training = taken("trainingLoss")
  const group = Math.ceil(training.length / mostPoints)
  const charts: string[] = []
  const losses = [
    {
      name: group > 1 ? `training, means of ${group} points` : "training",
      points: averaged(training, group),
    },
    { name: "held out", points: taken("heldOutLoss") },
  ].filter(({ points }) => points.length > 0)
  if (losses.length > 0) {
    charts.push(lineChart({ title: "Loss", xLabel: "steps", yLabel: "loss", series: losses }))
  }
  const accuracy = taken("heldOutAccuracy")
  if (accuracy.length > 0) {
    charts.push(lineChart({
      title: "Held-out accuracy",
      xLabel: "steps",
      yLabel: "share of pairs in which the chosen text wins",
      series: [{ name: "accuracy", points: accuracy }],
    }))
  }
  return charts.length === 0 ? undefined : stackCharts(charts)
}

/** Means of neighbouring points, in groups of a size; the last may be smaller. */
function averaged(points: readonly Point[], size: number): readonly Point[] {
  if (size <= 1) return points
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b) / values.length
  return Array.from({ length: Math.ceil(points.length / size) }, (_, i): Point => {
    const group = points.slice(i * size, (i + 1) * size)
    return [mean(group.map(([x]) => x)), mean(group.map(([, y]) => y))]
  })
}
