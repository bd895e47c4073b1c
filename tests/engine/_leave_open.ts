/** A script that leaves its engines open: nothing may keep it from ending. */
import process from "node:process"
import { open, openBeside } from "./_engines.ts"

const [, , folder] = process.argv
for (const openAny of [open, openBeside]) {
  const engine = await openAny(folder)
  const cache = engine.openCache()
  await engine.forward([{ cache, tokens: [1, 2, 3], want: "last" }])
  engine.openCache()
}
// deno-lint-ignore no-console -- what the test looks for
console.log("left open")
