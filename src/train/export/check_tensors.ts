/** Whether tensors to be written are those that a model needs, and hold numbers. */
import { GenArmError } from "../../errors.ts"
import type { NamedTensor } from "../named_tensor.ts"

/** Throws an `InvalidOption` that names the first fault. */
export function checkTensors(
  tensors: readonly NamedTensor[],
  expected: ReadonlyMap<string, readonly number[]>,
): void {
  const found = new Map(tensors.map((tensor) => [tensor.name, tensor]))
  if (found.size < tensors.length) throw invalid("expected every tensor once, found one twice")
  for (const name of found.keys()) {
    if (!expected.has(name)) throw invalid(`expected no tensor "${name}" in such a model`)
  }
  for (const [name, shape] of expected) {
    const tensor = found.get(name)
    if (tensor === undefined) throw invalid(`expected a tensor "${name}", found none`)
    if (tensor.shape.join() !== shape.join()) {
      throw invalid(`expected "${name}" of shape [${shape}], found [${tensor.shape}]`)
    }
    const at = tensor.data.findIndex((value) => !Number.isFinite(value))
    if (at >= 0) {
      throw invalid(
        `expected finite numbers in "${name}", found ${tensor.data[at]} at ${at}: training has ` +
          "diverged; go back to an earlier checkpoint",
      )
    }
  }
}

function invalid(message: string): GenArmError {
  return new GenArmError({ _tag: "InvalidOption", path: ["tensors"] }, message)
}
