import { assert, assertEquals } from "@std/assert"
import { dirname, join, resolve } from "node:path"
import process from "node:process"
import { describe, it } from "node:test"
import { cachePlaces } from "../../src/files/cache_places.ts"

const folder = resolve("/models/base")
const usersVariable = process.platform === "win32" ? "LOCALAPPDATA" : "XDG_CACHE_HOME"

/** The places where only these variables are set. */
function places(variables: Readonly<Record<string, string>>, of = folder): string[] {
  return cachePlaces(of, (name) => variables[name])
}

describe("the places of what is computed from a model", () => {
  it("are the model's folder first, then the user's cache", () => {
    const users = resolve("/users/cache")
    const [own, fallback] = places({ [usersVariable]: users })
    assertEquals(own, join(folder, ".genarm"))
    assertEquals(dirname(fallback), join(users, "genarm"))
    assert(/^base-[0-9a-f]{16}$/.test(fallback.slice(dirname(fallback).length + 1)), fallback)
  })

  it("are in the platform's own folder where none is named, or not by a whole path", () => {
    const [, fallback] = places({})
    assert(fallback !== undefined)
    assertEquals(places({ [usersVariable]: "relative" })[1], fallback)
  })

  it("differ for models of one name in different folders", () => {
    const chosen = { GENARM_CACHE: resolve("/cache") }
    const [a] = places(chosen, resolve("/a/base"))
    const [b] = places(chosen, resolve("/b/base"))
    assert(a !== b)
    assertEquals([dirname(a), dirname(b)], [resolve("/cache"), resolve("/cache")])
  })

  it("are one folder that GENARM_CACHE names, or none", () => {
    assertEquals(places({ GENARM_CACHE: "cache" }).map(dirname), [resolve("cache")])
    assertEquals(places({ GENARM_CACHE: "off" }), [])
    assertEquals(places({ GENARM_CACHE: "" }), places({}))
  })
})
