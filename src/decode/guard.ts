/** Running a plugin's code: see the plugins' own file. */
export { guard, guardAsync } from "../plugin/guard.ts"
