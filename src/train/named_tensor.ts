/** The form in which parameters leave training. */

/** A tensor with the name that Hugging Face gives it, e.g. `model.norm.weight`. */
export interface NamedTensor {
  /** As in the files of Hugging Face. */
  readonly name: string
  /** `[rows, columns]`, `[size]` ... */
  readonly shape: readonly number[]
  /** Row-major. */
  readonly data: Float32Array
}
