import { assertEquals, assertRejects } from "@std/assert"
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import { join, relative } from "node:path"
import { describe, it } from "node:test"
import { pathToFileURL } from "node:url"
import process from "node:process"
import { GenArmError, type GenArmReason } from "../../src/errors.ts"
import { locateAdapter, locateModel } from "../../src/files/locate_model.ts"
import { temporaryFolder } from "./_altered.ts"

async function refuses(
  ref: { model: string; revision?: string },
  reason: GenArmReason,
  ...parts: string[]
): Promise<void> {
  for (const part of parts) {
    const error = await assertRejects(() => locateModel(ref), GenArmError, part)
    assertEquals(error.reason, reason)
  }
}

describe("a model string", () => {
  it("is a folder as a path, absolute or relative, or as a file URL", async () => {
    using folder = temporaryFolder()
    const path = join(folder.path, "a model é")
    mkdirSync(path)
    const fromHere = relative(process.cwd(), path)
    for (const model of [path, `${path}/`, fromHere, `./${fromHere}`, pathToFileURL(path).href]) {
      assertEquals(await locateModel({ model }), path, model)
    }
  })

  it("may be the plain name of a folder that exists", async () => {
    assertEquals(await locateModel({ model: "tests" }), join(process.cwd(), "tests"))
  })

  it("leads to the same folder through a link, so that the two are one model", async () => {
    using folder = temporaryFolder()
    mkdirSync(join(folder.path, "model"))
    symlinkSync(join(folder.path, "model"), join(folder.path, "link"))
    const linked = await locateModel({ model: join(folder.path, "link") })
    assertEquals(linked, join(folder.path, "model"))
  })

  it("that looks like a path and leads nowhere is refused with the whole path", async () => {
    using folder = temporaryFolder()
    for (const model of ["./no/such", "../no-such", join(folder.path, "none")]) {
      await refuses(
        { model },
        { _tag: "ModelNotFound", model },
        "there is no folder /",
        "config.json",
      )
    }
    const file = join(folder.path, "file")
    writeFileSync(file, "")
    await refuses({ model: file }, { _tag: "ModelNotFound", model: file }, `no folder ${file}`)
  })

  it("that is a plain name and no folder is refused, naming both ways", async () => {
    for (
      const [model, hub] of [
        ["smollm", "hub:org/smollm"],
        ["HuggingFaceTB/SmolLM2-135M", "hub:HuggingFaceTB/SmolLM2-135M"],
      ]
    ) {
      await refuses({ model }, { _tag: "ModelNotFound", model }, `"./${model}"`, `"${hub}"`)
    }
    await refuses({ model: "" }, { _tag: "ModelNotFound", model: "" }, "is not a folder here")
  })

  it("that is a broken file URL is refused", async () => {
    for (const model of ["file://elsewhere/model", "file:///a%2Fb"]) {
      await refuses({ model }, { _tag: "ModelNotFound", model }, "is not a file URL that leads")
    }
    const missing = "file:///no/such/folder"
    await refuses(
      { model: missing },
      { _tag: "ModelNotFound", model: missing },
      "no folder /no/such",
    )
  })

  it("that is a malformed name of the hub is refused before anything is fetched", async () => {
    for (
      const model of [
        "hub:",
        "hub:name",
        "hub:a/b/c",
        "hub:../b",
        "hub:a/b@",
        "hub:a/b@..",
        "hub: a/b",
      ]
    ) {
      await refuses({ model }, { _tag: "InvalidOption", path: ["model"] }, "expected")
    }
    const path = ["revision"]
    await refuses({ model: "hub:a/b@v1", revision: "v2" }, { _tag: "InvalidOption", path }, '"v2"')
  })

  it("that is a folder has no revision", async () => {
    const reason = { _tag: "InvalidOption", path: ["revision"] } as const
    await refuses({ model: "tests", revision: "main" }, reason, "belongs to a model of the hub")
  })
})

describe("an adapter string", () => {
  it("is a folder named as a model's is", async () => {
    using folder = temporaryFolder()
    const path = join(folder.path, "adapter")
    mkdirSync(path)
    symlinkSync(path, join(folder.path, "link"))
    for (const name of [path, join(folder.path, "link"), pathToFileURL(path).href]) {
      assertEquals(await locateAdapter(name), path, name)
    }
  })

  it("that leads nowhere is refused, saying what is expected there", async () => {
    for (
      const [adapter, ...parts] of [
        ["./no/such", "there is no folder /", "adapter_config.json and adapter_model.safetensors"],
        ["cheerful", '"./cheerful"', '"hub:org/cheerful"', "an adapter of the hub"],
      ]
    ) {
      for (const part of parts) {
        const error = await assertRejects(() => locateAdapter(adapter), GenArmError, part)
        assertEquals(error.reason, { _tag: "ModelNotFound", model: adapter })
      }
    }
    await assertRejects(
      () => locateAdapter("hub:a/b/c"),
      GenArmError,
      "expected a model of the hub",
    )
  })
})
