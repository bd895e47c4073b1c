/** Running a plugin's code: whatever it throws becomes an error that names the plugin. */
import { GenArmError, messageOf } from "../errors.ts"

/** Runs code of `plugin`, on behalf of the reward `term` where it is one's. */
export function guard<A>(plugin: string, run: () => A, term?: string): A {
  try {
    return run()
  } catch (error) {
    if (error instanceof GenArmError) throw error
    const where = term === undefined ? "" : ` of "${term}"`
    throw new GenArmError(
      { _tag: "PluginFailed", plugin },
      `the plugin "${plugin}"${where} failed: ${messageOf(error)}`,
      { cause: error },
    )
  }
}
