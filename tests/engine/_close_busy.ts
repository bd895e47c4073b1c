/** A script that closes engines in workers while these are inside native runs. */
import process from "node:process"
import { openBeside } from "./_engines.ts"

const [, , folder] = process.argv
for (const wait of [0, 1, 5]) {
  const engine = await openBeside(folder)
  const tokens = Array.from({ length: engine.contextLength }, (_, i) => i % 100)
  const calls = Array.from(
    { length: 8 },
    () => engine.forward([{ cache: engine.openCache(), tokens, want: "all" }]),
  )
  await new Promise((resolve) => setTimeout(resolve, wait))
  await engine.close()
  for (const [all] of await Promise.all(calls)) {
    if (all.length !== tokens.length * engine.vocabularySize) throw new Error("rows are missing")
  }
}
// deno-lint-ignore no-console -- what the test looks for
console.log("closed")
