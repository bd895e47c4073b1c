/**
 * The folder that a training writes to, checked before the first step: what cannot be written at the
 * end would cost every one of them.
 */
import { existsSync } from "node:fs"
import { rm, stat } from "node:fs/promises"
import { join } from "node:path"
import { GenArmError } from "../errors.ts"
import { adapterFiles } from "../files/adapter_folder.ts"
import { isSamePlace } from "../files/same_place.ts"
import { writeFileAtomic } from "../files/write_file.ts"

/**
 * Makes the folder and writes a file to try it.
 *
 * `InvalidOption` for the base's own folder, for one with files that no training wrote and this one
 * would replace, and for an adapter where a model is or the reverse: a folder with both is loaded as
 * something else than what was trained. `WriteFailed` where the system refuses.
 */
export async function prepareOut(
  out: string,
  { baseFolder, isAdapter }: { readonly baseFolder: string; readonly isAdapter: boolean },
): Promise<void> {
  if (await isSamePlace(out, baseFolder)) {
    refuse(`expected another folder than the base's own, found ${out}`)
  }
  const found = await stat(out).catch(() => undefined)
  if (found?.isDirectory() === false) {
    refuse(`expected a folder, or a name that is free, and ${out} is a file`)
  }
  const [trained, other] = isAdapter ? ["an adapter", "a model"] : ["a model", "an adapter"]
  const file = isAdapter ? "config.json" : adapterFiles.config
  if (existsSync(join(out, file))) {
    refuse(`expected a folder for ${trained}, and ${out} has the ${file} of ${other}: name another`)
  }
  const inTheWay = existsSync(join(out, "training_log.jsonl"))
    ? undefined
    : replaced.find((name) => existsSync(join(out, name)))
  if (inTheWay !== undefined) {
    refuse(
      `expected a folder that is new, or of an earlier training, and ${out} has a ${inTheWay} ` +
        "that this training would replace: name another",
    )
  }
  const probe = join(out, "training_probe")
  await writeFileAtomic(probe, "")
  await rm(probe, { force: true })
}

/** What is written at the end. */
const replaced = ["README.md", "model.safetensors", adapterFiles.tensors]

function refuse(message: string): never {
  throw new GenArmError({ _tag: "InvalidOption", path: ["out"] }, message)
}
