/** A module that a graph's file may name by mistake; that it was imported can be seen. */
declare global {
  var importedNoPlugins: boolean | undefined
}
globalThis.importedNoPlugins = true
export const nothing = {}
