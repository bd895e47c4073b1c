/** A program that replaces a file, says so when a part is written, and never comes to the end. */
import process from "node:process"
import { replaceFile, writeAll } from "../../src/files/write_file.ts"

await replaceFile(process.argv[2], async (file) => {
  await writeAll(file, new TextEncoder().encode("half of the new one"))
  process.stdout.write("written\n")
  await new Promise((done) => setTimeout(done, 600_000))
})
