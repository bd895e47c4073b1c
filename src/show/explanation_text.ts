/** What a graph will run, as a text for terminals. */
import type { ExplainedEngine, ExplainedRow, Explanation } from "../graph/explanation.ts"
import { textTable } from "./table.ts"

/** The text of an explanation: the formula, engines, rows, terms, and what a step costs. */
export function explanationText(explanation: Explanation): string {
  const { formula, runtime, engines, terms, rowsPerStep, cost, sampler, strategy } = explanation
  const readsCandidates = engines.some(({ rows }) => rows.some((row) => row.readsCandidates))
  const price = cost === undefined
    ? readsCandidates
      ? "of which one is run for each candidate: the cost is not known before they are there"
      : "the cost is not known before the models are there"
    : `about ${cost.toFixed(2)} steps of the base alone`
  const parts = [
    `${formula}\n`,
    textTable({
      columns: ["engine", "model", "weights", "parameters", "files", "runs in", "cost"],
      rows: engines.map((engine, i) => [
        i + 1,
        engine.revision === undefined ? engine.model : `${engine.model}@${engine.revision}`,
        engine.weights,
        engine.parameters === undefined ? "?" : short(engine.parameters, ["", " K", " M", " G"]),
        engine.fileBytes === undefined ? "?" : short(engine.fileBytes, [" B", " kB", " MB", " GB"]),
        placeOf(engine, runtime),
        engine.cost === undefined ? "?" : engine.cost.toFixed(2),
      ]),
    }),
    textTable({
      columns: ["row", "reads the prompt", "for"],
      rows: engines.flatMap(({ rows }, i) =>
        rows.map((row, j) => [`${i + 1}.${j + 1}`, readingOf(row), row.readBy.join(", ")])
      ),
    }),
    ...terms.length === 0 ? [] : [textTable({
      columns: ["term", "weight", "reward", "rows"],
      rows: terms.map(({ name, weight, reward, rows }) => [
        name,
        weight,
        reward,
        Object.values(rows).join(" "),
      ]),
    })],
    `sampler   ${sampler}\nstrategy  ${strategy}\n` +
    `step      ${rowsPerStep} ${rowsPerStep === 1 ? "row" : "rows"}, ${price}\n`,
  ]
  return parts.join("\n")
}

function placeOf({ runsIn, threads }: ExplainedEngine, runtime: string): string {
  if (threads === undefined) return runtime
  return `${runtime}, ${runsIn}, ${threads} ${threads === 1 ? "thread" : "threads"}`
}

function readingOf(
  { adapter, template, prefix, isInEveryStep, readsCandidates }: ExplainedRow,
): string {
  const parts = [
    ...prefix === undefined ? [] : [`after ${JSON.stringify(prefix)}`],
    ...template === undefined ? [] : [`as ${JSON.stringify(template)}`],
    ...adapter === undefined ? [] : [`with ${adapter}`],
    ...isInEveryStep ? [] : ["when drafting"],
    ...readsCandidates ? ["with each candidate"] : [],
  ]
  return parts.join(", ") || "as it is"
}

/** Three digits and a unit of thousands. */
function short(value: number, units: readonly string[]): string {
  let unit = 0
  for (; value >= 999.5 && unit < units.length - 1; unit++) value /= 1000
  return `${unit === 0 ? value : value.toPrecision(3)}${units[unit]}`
}
