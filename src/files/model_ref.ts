/** How a graph names a model. */

/** Which weights to open, and how. */
export interface ModelRef {
  /** A folder (`./models/base`), or a model of the hub (`hub:org/name@revision`). */
  readonly model: string
  /** A branch, tag or commit of a hub model; `main` where absent. */
  readonly revision?: string
  /** How weights are held: as they are in float32 (the default), or quantised at load. */
  readonly weights?: "f32" | "q8" | "q4"
  /** A folder with a low-rank adapter to run on the model. */
  readonly adapter?: string
  /**
   * How a text prompt is put to the model: `"none"` as it is, `"chat"` as a user's message through
   * the model's chat template, or a text in which `{prompt}` stands for the prompt.
   */
  readonly template?: string
}
