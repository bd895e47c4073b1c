/**
 * The page of a trained model: `README.md` with the front matter that the model hub reads, and
 * `curves.svg` beside it, written from the record of the run and nothing else.
 * https://huggingface.co/docs/hub/model-cards
 */
import { join } from "node:path"
import { writeFileAtomic } from "../../files/write_file.ts"
import { markdownTable } from "../../show/table.ts"
import { drawCurves } from "./draw_curves.ts"
import type { DataRecord, Setting, Settings, TrainingRecord } from "./training_record.ts"

/** Writes the page and, where there are curves, their picture. */
export async function writeModelCard(folder: string, record: TrainingRecord): Promise<void> {
  const curves = drawCurves(record.curve)
  if (curves !== undefined) await writeFileAtomic(join(folder, "curves.svg"), curves)
  await writeFileAtomic(join(folder, "README.md"), modelCard(record))
}

/** The text of `README.md`; it names `curves.svg` where `drawCurves` would draw one. */
export function modelCard(record: TrainingRecord): string {
  const hasCurves = drawCurves(record.curve) !== undefined
  const curves = hasCurves ? "![Curves of the training run](curves.svg)" : undefined
  return [
    frontMatter(record),
    `# ${line(record.name)}`,
    record.summary,
    origin(record),
    "## Use",
    use(record),
    "## Held-out figures",
    figures(record),
    curves,
    "## Data",
    dataTable(record.data),
    ...record.data.flatMap(({ name, report }) =>
      report === undefined ? [] : [`${code(name)}:`, fenced(report)]
    ),
    "## Objective",
    `${code(record.objective.name)}.`,
    settings(record.objective.options),
    "## Training",
    settings({ ...record.hyperParameters, ...run(record) }),
    "## Versions",
    markdownTable({ columns: ["program", "version"], rows: Object.entries(record.versions) }),
    "## Licence",
    licence(record),
  ].filter((part) => part !== undefined && part !== "").map((part) => part!.trimEnd()).join(
    "\n\n",
  ) + "\n"
}

/** The lines that the hub reads, as YAML; every text as JSON, which is YAML too. */
function frontMatter(record: TrainingRecord): string {
  const isAdapter = record.adapter !== undefined
  const tags = ["genarm", "reward-guided-generation", record.objective.name]
  const fields: [string, unknown][] = [
    ["base_model", hubName(record.base)],
    ["library_name", isAdapter ? "peft" : "transformers"],
    ["pipeline_tag", "text-generation"],
    ["license", record.licence],
    ["language", record.languages],
    ["tags", isAdapter ? [...tags, "lora"] : tags],
  ]
  const lines = fields.flatMap(([key, value]) => {
    if (value === undefined) return []
    if (!Array.isArray(value)) return [`${key}: ${JSON.stringify(value)}`]
    return [`${key}:`, ...value.map((item) => `  - ${JSON.stringify(item)}`)]
  })
  return ["---", ...lines, "---"].join("\n")
}

/** The base as the hub names it; a folder of some machine means nothing there. */
function hubName(base: string | undefined): string | undefined {
  const name = base?.replace(/^hub:/, "")
  return name !== undefined && /^[\w-][\w.-]*\/[\w.-]+$/.test(name) ? name : undefined
}

function origin({ base, adapter, parameters }: TrainingRecord): string {
  const { total, trained } = parameters
  const size = total === trained
    ? `${integer(total)} parameters`
    : `${integer(trained)} of ${integer(total)} parameters`
  if (adapter !== undefined) {
    const { rank, alpha, targets } = adapter
    return `A low-rank adapter (rank ${rank}, alpha ${alpha}, on ${
      targets.map(code).join(", ")
    }) for ${code(base ?? "its base")}: ${size} were trained.`
  }
  return base === undefined
    ? `Trained from random weights: ${size}.`
    : `Trained from ${code(base)}: ${size} were trained.`
}

function use({ adapter, base, objective }: TrainingRecord): string {
  const python = adapter === undefined
    ? [
      "from transformers import AutoModelForCausalLM",
      "",
      'model = AutoModelForCausalLM.from_pretrained("path/of/this/folder")',
    ]
    : [
      "from peft import PeftModel",
      "from transformers import AutoModelForCausalLM",
      "",
      `base = AutoModelForCausalLM.from_pretrained(${JSON.stringify(base ?? "path/of/the/base")})`,
      'model = PeftModel.from_pretrained(base, "path/of/this/folder")',
    ]
  const isReward = objective.name === "armPreference"
  const what = isReward
    ? "An autoregressive reward model: the log-probability that it gives to a text is its reward, " +
      "up to a factor, and token by token it guides the generation of a base with the same " +
      "vocabulary, or inside of `crossTokenizer` of one with another."
    : adapter === undefined
    ? "A language model in the layout of Hugging Face."
    : "An adapter of a language model in the layout of PEFT."
  const key = adapter === undefined ? "model" : "adapter"
  const reward = `arm({ ${key}: "path/of/this/folder" })`
  return [
    what,
    "",
    ...isReward ? ["```ts", `const reward = ${reward}`, "```", ""] : [],
    ...["```python", ...python, "```"],
  ].join("\n")
}

function figures({ before = {}, heldOut }: TrainingRecord): string {
  const rows = Object.entries(heldOut).map(([name, value]) => [
    name,
    name in before ? number(before[name]) : "",
    number(value),
  ])
  if (rows.length === 0) return "None were taken."
  return markdownTable({ columns: ["figure", "before the training", "after it"], rows })
}

function dataTable(data: readonly DataRecord[]): string {
  if (data.length === 0) return "Not recorded."
  return markdownTable({
    columns: ["source", "read", "learnt from", "held out", "licence"],
    rows: data.map(({ name, read, kept, heldOut, licence }) => [
      line(name),
      integer(read),
      integer(kept),
      heldOut === undefined ? "" : integer(heldOut),
      licence === undefined ? "not stated" : line(licence),
    ]),
  })
}

function run({ seed, steps, seconds, tokens }: TrainingRecord): Settings {
  return {
    seed,
    steps: integer(steps),
    tokens: integer(tokens),
    time: duration(seconds),
    ...seconds > 0 && { "tokens per second": integer(Math.round(tokens / seconds)) },
  }
}

function settings(values: Settings): string | undefined {
  const rows = Object.entries(values).map(([name, value]) => [line(name), setting(value)])
  return rows.length === 0 ? undefined : markdownTable({ columns: ["setting", "value"], rows })
}

function licence({ licence, licenceNotes, base }: TrainingRecord): string {
  const own = licence === undefined ? "No licence is stated for these weights." : `${licence}.`
  const inherited = base === undefined
    ? "The terms of the data apply as well."
    : `The terms of ${code(base)} and of the data apply as well.`
  return [own, inherited, licenceNotes].filter((text) => text !== undefined).join(" ")
}

function setting(value: Setting): string {
  if (typeof value === "number") return number(value)
  return typeof value === "object" ? value.map(setting).join(", ") : line(String(value))
}

/** Digits that can be read: five that count, and no more zeros than needed. */
function number(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(5)))
}

function integer(value: number): string {
  return Number.isFinite(value) ? String(value).replace(/\B(?=(\d{3})+$)/g, ",") : String(value)
}

function duration(seconds: number): string {
  if (seconds < 60) return `${number(seconds)} s`
  const minutes = Math.round(seconds / 60)
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** A text as one line. */
function line(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim()
}

/** A text as code: between more backquotes than it holds. */
function code(text: string): string {
  const fence = "`".repeat(longestRun(text) + 1)
  const space = /^`|`$/.test(text) ? " " : ""
  return `${fence}${space}${line(text)}${space}${fence}`
}

function fenced(text: string): string {
  const fence = "`".repeat(Math.max(3, longestRun(text) + 1))
  return `${fence}text\n${text.trimEnd()}\n${fence}`
}

function longestRun(text: string): number {
  return Math.max(0, ...(text.match(/`+/g) ?? []).map((run) => run.length))
}
