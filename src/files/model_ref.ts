/** How a graph names a model. */

/** Which weights to open, and how. */
export interface ModelRef {
  /** A folder (`./models/base`), or a model of the hub (`hub:org/name@revision`). */
  readonly model: string
  /** A branch, tag or commit of a hub model; `main` where absent. */
  readonly revision?: string
  /**
   * How weights are held: in float32 (the default), or quantised in blocks of 32 weights, to 8 bits,
   * or with `"q4"` to 4 bits and the head to 8. Of a model of more than 4 million weights the
   * quantised ones are kept, in the folder `.genarm` of the model's own or, where that cannot be
   * written, of the user's cache, so that only the first opening has to make them; they are made
   * anew when the weights change. The environment variable `GENARM_CACHE` names another folder for
   * them, or with `off` none; a place that cannot be written is no error.
   */
  readonly weights?: "f32" | "q8" | "q4"
  /**
   * A low-rank adapter to run on the model: a folder as PEFT writes it (`adapter_config.json` and
   * `adapter_model.safetensors`), or one of the hub.
   */
  readonly adapter?: string
  /**
   * How a text prompt is put to the model: `"none"` as it is, `"chat"` as a user's message through
   * the model's chat template, or a text in which `{prompt}` stands for the prompt.
   */
  readonly template?: string
}

/** Whether a text is one of the three forms of `ModelRef.template`. */
export function isTemplate(template: string): boolean {
  return template === "none" || template === "chat" || template.includes("{prompt}")
}

/** The text put to a model for a prompt, by `"none"` or a text with `{prompt}`. */
export function fillTemplate(template: string | undefined, prompt: string): string {
  if (template === undefined || template === "none") return prompt
  // A function, as "$&" in the text is no pattern.
  return template.replaceAll("{prompt}", () => prompt)
}
