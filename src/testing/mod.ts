/**
 * Suites for plugins: what every plugin of a kind must do, as tests that any runner can run.
 *
 * @module
 */
export { conformance } from "./conformance.ts"
export type { ConformanceOptions, ConformanceTest } from "./conformance.ts"
