/**
 * An autoregressive reward model from preference pairs: a low-rank adapter on the base, or with
 * `--full` all weights of a model of its own. `--objective dpo` trains the baseline it is compared with.
 *
 *     deno run -A examples/train/train_arm.ts --base folder --pairs pairs.jsonl --out folder \
 *       [--name cheerful] [--full] [--objective arm] [--rank 8] [--beta 0.05] [--rate 2e-3] [--epochs 2] \
 *       [--tokens 384] [--accumulate 2] [--threads 2] [--base-name ../base]
 */
import process from "node:process"
import { parseArgs } from "node:util"
import { armPreference, dpo, linearModules, train } from "genarm"

const say = (text: string) => process.stderr.write(`${text}\n`)

const { values } = parseArgs({
  options: {
    base: { type: "string" },
    pairs: { type: "string" },
    out: { type: "string" },
    name: { type: "string", default: "preference" },
    full: { type: "boolean", default: false },
    objective: { type: "string", default: "arm" },
    "base-name": { type: "string" },
    rank: { type: "string", default: "8" },
    beta: { type: "string", default: "0.05" },
    rate: { type: "string", default: "2e-3" },
    epochs: { type: "string", default: "2" },
    tokens: { type: "string", default: "384" },
    accumulate: { type: "string", default: "2" },
    threads: { type: "string" },
  },
})
const { base, pairs, out, name } = values
if (base === undefined || pairs === undefined || out === undefined) {
  throw new Error("name --base, --pairs and --out")
}
const beta = Number(values.beta)
const rank = Number(values.rank)
const run = await train({
  base,
  ...!values.full && { adapter: { rank, alpha: 2 * rank, targets: linearModules } },
  objective: values.objective === "dpo" ? dpo({ beta }) : armPreference({ beta }),
  data: pairs,
  heldOut: 0.1,
  out,
  epochs: Number(values.epochs),
  batch: 16,
  accumulate: Number(values.accumulate),
  tokens: Number(values.tokens),
  optimizer: { learningRate: Number(values.rate), weightDecay: 0.05 },
  evaluate: { every: 60, patience: 3 },
  logEvery: 5,
  checkpointEvery: 50,
  dtype: "F16",
  card: {
    name: `genarm ${name}`,
    ...values["base-name"] !== undefined && { base: values["base-name"] },
    summary: `Rewards stories, token by token: ${name}.`,
    licence: "cdla-sharing-1.0",
    languages: ["en"],
  },
}, values.threads === undefined ? {} : { threads: Number(values.threads) })
say(run.data.report ?? "")
say(`before ${JSON.stringify(run.before)}`)
say(`after ${JSON.stringify(run.heldOut)}`)
