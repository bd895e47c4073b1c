/** The small models of the examples (`examples/models`), by name. */
import { fileURLToPath } from "node:url"

/** The folder of one of them. */
export function model(name: string): string {
  return fileURLToPath(new URL(`./models/${name}`, import.meta.url))
}
