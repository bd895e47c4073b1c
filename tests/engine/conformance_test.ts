import { after, describe, it } from "node:test"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import { Runtime, tableRuntime } from "genarm/effect"
import { engineConformance, type Subject } from "../_conformance_engine.ts"
import { fixture } from "../_fixtures.ts"
import { altered, poisoned } from "../files/_altered.ts"
import { tinyExport } from "../onnx/_tiny_export.ts"
import { heldByCount, heldBySlab, noTrained, open, openBeside, trained } from "./_engines.ts"

const poison = 7
const damaged = poisoned("llama", poison)
const damagedExport = altered("onnx_export", { "config.json": { json: { vocab_size: 11 } } })
writeFileSync(join(damagedExport.path, "onnx/model.onnx"), tinyExport({ poison }))
after(() => {
  damaged[Symbol.dispose]()
  damagedExport[Symbol.dispose]()
})

/** Every probability depends on the whole text, and none is zero. */
function table(): Promise<ReturnType<typeof openTable>> {
  return Promise.resolve(openTable())
}

function openTable() {
  const layer = tableRuntime({
    rule: {
      vocabulary: Array.from({ length: 9 }, (_, id) => `${id}`),
      padding: 1,
      contextLength: 320,
      next: (ids) => {
        if (ids.includes(poison)) return [NaN]
        const hash = ids.reduce((sum, id) => (sum * 31 + id + 1) % 1009, 7)
        return Array.from({ length: 10 }, (_, id) => 1 + (hash * (id + 3)) % 17)
      },
    },
  })
  const program = Effect.gen(function* () {
    const runtime = yield* Runtime
    return (yield* runtime.open({ ref: { model: "rule" } })).engine
  })
  return Effect.runSync(program.pipe(Effect.scoped, Effect.provide(layer)))
}

const subjects: (Subject & { readonly skip?: string | false })[] = [
  {
    name: "the delta engine on trained weights",
    open: () => open(trained),
    held: heldBySlab,
    skip: noTrained,
  },
  {
    name: "the delta engine on a damaged folder",
    open: () => open(damaged.path),
    held: heldBySlab,
    poison,
  },
  {
    name: "the delta engine with a sliding window",
    open: () => open(fixture("mistral")),
    held: heldBySlab,
  },
  {
    name: "the growing engine",
    open: () => open(fixture("onnx_export")),
    held: heldByCount,
  },
  {
    name: "the growing engine on a damaged export",
    open: () => open(damagedExport.path),
    held: heldByCount,
    poison,
  },
  {
    name: "the worker engine",
    open: () => openBeside(damaged.path),
    held: heldByCount,
    poison,
  },
  { name: "the table engine", open: table, held: heldByCount, poison },
]

for (const { skip = false, ...subject } of subjects) {
  describe(subject.name, { skip }, () => {
    for (const { name, run } of engineConformance(subject)) it(name, run)
  })
}
