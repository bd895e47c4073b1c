/** Running a plugin's code: whatever it throws becomes an error that names the plugin. */
import { GenArmError, messageOf } from "../errors.ts"

/** Runs code of `plugin`, on behalf of the reward `term` where it is one's. */
export function guard<A>(plugin: string, run: () => A, term?: string): A {
  try {
    return run()
  } catch (error) {
    throw named(error, plugin, term)
  }
}

/** The same for code that may have to be waited for. */
export async function guardAsync<A>(
  plugin: string,
  run: () => A | Promise<A>,
  term?: string,
): Promise<A> {
  try {
    return await run()
  } catch (error) {
    throw named(error, plugin, term)
  }
}

function named(error: unknown, plugin: string, term: string | undefined): GenArmError {
  if (error instanceof GenArmError) return error
  const where = term === undefined ? "" : ` of "${term}"`
  return new GenArmError(
    { _tag: "PluginFailed", plugin },
    `the plugin "${plugin}"${where} failed: ${messageOf(error)}`,
    { cause: error },
  )
}
