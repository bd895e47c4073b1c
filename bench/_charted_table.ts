import type { LineChartSpec } from "../src/show/line_chart.ts"
import type { BenchTable } from "./_table.ts"

/** A table that comes with a picture of itself. */
export interface ChartedTable extends BenchTable {
  chart: LineChartSpec
}
