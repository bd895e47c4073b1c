import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert"
import { createHash } from "node:crypto"
import { existsSync } from "node:fs"
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { after, afterEach, before, beforeEach, describe, it } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { AutoConfig, AutoTokenizer, env } from "@huggingface/transformers"
import { GenArmError } from "../../src/errors.ts"
import { download } from "../../src/files/_hub_download.ts"
import { incompletePath } from "../../src/files/_hub_incomplete.ts"
import { hubPlace } from "../../src/files/_hub_place.ts"
import { fetchAdapterFolder, fetchModelFolder, parseHubReference } from "../../src/files/hub.ts"
import type { Progress } from "../../src/files/progress.ts"

/** A file of the fake hub and how it misbehaves. */
interface Served {
  content: Uint8Array
  /** Large files are redirected to another path, with size and hash on the redirect. */
  lfs?: boolean
  /** Instead of the true hash. */
  etag?: string | null
  /** Instead of the true size, on the redirect. */
  linkedSize?: number
  /** For each answer with content in turn: break off after so many of its bytes. */
  cuts?: number[]
  /** For each answer with content in turn: send so many bytes and then nothing more. */
  holds?: number[]
  ignoresRange?: boolean
  knowsNoHead?: boolean
  /** Statuses of the first answers. */
  statuses?: number[]
  /** Answers in place of the content, with these headers. */
  denied?: [number, Record<string, string>]
}

interface Seen {
  readonly method: string
  readonly path: string
  readonly file: string
  readonly range: string | undefined
  readonly ifRange: string | undefined
  readonly encoding: string | undefined
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")
const gitSha1 = (bytes: Uint8Array) =>
  createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex")
const text = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))

/** Bytes without a pattern that a wrong offset could hide in. */
function noise(size: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(size)
  for (let i = 0, x = seed; i < size; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0
    bytes[i] = x >>> 24
  }
  return bytes
}

class FakeHub {
  readonly files = new Map<string, Served>()
  readonly seen: Seen[] = []
  url = ""
  #server: Server = createServer((request, response) => this.#answer(request, response))

  async open(): Promise<void> {
    await new Promise<void>((done) => this.#server.listen(0, "127.0.0.1", done))
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise<void>((done) => this.#server.close(() => done()))
  }

  /** The requests for the content of a file, redirects left out. */
  gets(file: string): Seen[] {
    const served = this.files.get(file)
    return this.seen.filter((one) =>
      one.method === "GET" && one.file === file && one.path.startsWith("/cdn/") === !!served?.lfs
    )
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url ?? ""
    const file = path.replace(/^\/cdn/, "").replace(/^\/[^/]+\/[^/]+\/resolve\/[^/]+\//, "")
    const header = (name: string) => request.headers[name] as string | undefined
    const method = request.method ?? ""
    this.seen.push({
      method,
      path,
      file,
      range: header("range"),
      ifRange: header("if-range"),
      encoding: header("accept-encoding"),
    })
    const served = this.files.get(file)
    const status = served?.statuses?.shift()
    if (served === undefined || status !== undefined) {
      response.writeHead(status ?? 404, served ? {} : { "x-error-code": "EntryNotFound" }).end()
    } else if (served.denied) {
      response.writeHead(...served.denied).end()
    } else if (method === "HEAD" && served.knowsNoHead) {
      response.writeHead(405).end()
    } else if (served.lfs && !path.startsWith("/cdn/")) {
      response.writeHead(302, {
        location: `/cdn${path}`,
        "x-linked-size": served.linkedSize ?? served.content.length,
        "x-linked-etag": `"${served.etag ?? sha256(served.content)}"`,
      }).end()
    } else {
      this.#content(request, response, served)
    }
  }

  #content(request: IncomingMessage, response: ServerResponse, served: Served): void {
    const { content } = served
    const own = served.lfs ? `"cdn-${content.length}-${content[0]}"` : `"${gitSha1(content)}"`
    const etag = served.lfs ? own : served.etag === undefined ? own : served.etag
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0)
    const condition = request.headers["if-range"]
    const partial = start > 0 && !served.ignoresRange && (condition ?? etag) === etag
    if (partial && start >= content.length) {
      response.writeHead(416, { "content-range": `bytes */${content.length}` }).end()
      return
    }
    const body = partial ? content.subarray(start) : content
    response.writeHead(partial ? 206 : 200, {
      ...(etag === null ? {} : { etag }),
      "content-length": body.length,
      ...(partial && {
        "content-range": `bytes ${start}-${content.length - 1}/${content.length}`,
      }),
    })
    if (request.method === "HEAD") {
      response.end()
      return
    }
    const cut = served.cuts?.shift()
    const held = served.holds?.shift()
    if (cut !== undefined) {
      response.write(body.subarray(0, cut), () => setTimeout(() => response.destroy(), 20))
    } else if (held !== undefined) {
      response.write(body.subarray(0, held))
    } else {
      response.end(body)
    }
  }
}

describe("the hub", () => {
  const hub = new FakeHub()
  const saved = { ...env }
  let cache = ""
  let repositories = 0
  let id = ""
  let folder = ""

  before(() => hub.open())
  after(async () => {
    await hub.close()
  })

  beforeEach(async () => {
    cache = await mkdtemp(join(tmpdir(), "genarm-hub-"))
    // The library remembers what it knows of a name, so every test has its own.
    id = `tests/model-${++repositories}`
    folder = join(cache, id)
    hub.seen.length = 0
    hub.files.clear()
    hub.files.set("config.json", { content: text({ model_type: "llama", hidden_size: 8 }) })
    hub.files.set("tokenizer.json", { content: text(tokenizer) })
    hub.files.set("tokenizer_config.json", {
      content: text({ tokenizer_class: "PreTrainedTokenizer", unk_token: "[UNK]" }),
    })
    env.cacheDir = cache
    env.remoteHost = hub.url
    env.useBrowserCache = false
  })
  afterEach(async () => {
    for (const key of ["cacheDir", "remoteHost", "useBrowserCache", "fetch"] as const) {
      Object.assign(env, { [key]: saved[key] })
    }
    env.allowRemoteModels = saved.allowRemoteModels
    env.localModelPath = saved.localModelPath
    await rm(cache, { recursive: true, force: true })
  })

  const weights = (content: Uint8Array, more: Partial<Served> = {}): Served => {
    const served = { content, lfs: true, ...more }
    hub.files.set("model.safetensors", served)
    return served
  }
  const fetchIt = (options: Partial<Parameters<typeof fetchModelFolder>[1]> = {}) =>
    fetchModelFolder(parseHubReference(`hub:${id}`), { weights: "f32", ...options })
  const bytesOf = async (file: string) => new Uint8Array(await readFile(join(folder, file)))
  const incomplete = async (of = folder) =>
    (await readdir(of)).filter((name) => name.endsWith(".incomplete"))
  const failure = async (work: Promise<unknown>, tag: GenArmError["reason"]["_tag"]) => {
    const error = await assertRejects(() => work, GenArmError)
    assertEquals(error.reason._tag, tag, error.message)
    return error
  }

  /** Stops a download of `model.safetensors` after so many bytes, as a kill would. */
  const stopAfter = async (served: Served, bytes: number) => {
    served.holds = [bytes]
    const controller = new AbortController()
    const running = fetchIt({ signal: controller.signal })
    running.catch(() => {})
    const size = async () => {
      const names = await incomplete().catch(() => [])
      const name = names.find((name) => name.startsWith("model.safetensors"))
      return name === undefined ? 0 : (await stat(join(folder, name))).size
    }
    for (let i = 0; i < 400 && await size() < bytes; i++) await sleep(5)
    assertEquals(await size(), bytes)
    controller.abort(new Error("enough"))
    const error = await failure(running, "Aborted")
    assertStringIncludes(error.message, "enough")
    hub.seen.length = 0
  }

  describe("fetching a model", () => {
    it("brings all files with progress, and asks for uncompressed bytes", async () => {
      const content = noise(300_000)
      weights(content)
      const reports: Progress[] = []
      assertEquals(await fetchIt({ onProgress: (report) => reports.push(report) }), folder)
      assertEquals(await bytesOf("model.safetensors"), content)
      assertEquals((await readdir(folder)).filter((name) => !name.startsWith(".")).sort(), [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
      ])
      const of = reports.filter((report) => report.file === "model.safetensors")
      assertEquals(of[0], {
        stage: "download",
        model: `hub:${id}`,
        file: "model.safetensors",
        loaded: 0,
        total: content.length,
      })
      assertEquals(of.at(-1)?.loaded, content.length)
      assert(of.length < 20, `${of.length} reports`)
      assertEquals(new Set(reports.map((report) => report.file)).size, 4)
      assert(hub.seen.every((one) => one.encoding === "identity"))
    })

    it("needs no server for a model that is in the cache", async () => {
      weights(noise(1000))
      await fetchIt()
      const before = hub.seen.length
      assertEquals(await fetchIt(), folder)
      env.allowRemoteModels = false
      assertEquals(await fetchIt(), folder)
      assertEquals(hub.seen.length, before)
    })

    it("keeps a revision in a folder of its own, as the library does", async () => {
      weights(noise(1000))
      const reference = parseHubReference(`hub:${id}@refs/pr/1`)
      assertEquals(
        await fetchModelFolder(reference, { weights: "q8" }),
        join(folder, "refs", "pr", "1"),
      )
      assert(hub.seen.every((one) => one.path.includes("/resolve/refs%2Fpr%2F1/")))
    })

    it("fetches every shard an index names", async () => {
      const [one, two] = [noise(5000, 2), noise(7000, 3)]
      hub.files.set("a-1.safetensors", { content: one, lfs: true })
      hub.files.set("a-2.safetensors", { content: two, lfs: true })
      hub.files.set("model.safetensors.index.json", {
        content: text({
          weight_map: { x: "a-1.safetensors", y: "a-2.safetensors", z: "a-1.safetensors" },
        }),
      })
      await fetchIt()
      assertEquals(await bytesOf("a-1.safetensors"), one)
      assertEquals(await bytesOf("a-2.safetensors"), two)
      assertEquals(hub.gets("a-1.safetensors").length, 1)
      hub.seen.length = 0
      await fetchIt()
      assertEquals(hub.seen, [])
      await rm(join(folder, "a-2.safetensors"))
      await fetchIt()
      assertEquals([...new Set(hub.seen.map((one) => one.file))], ["a-2.safetensors"])
    })

    it("refuses shards that would leave the folder", async () => {
      for (const name of ["../x.safetensors", "a/b.safetensors", "c:\\d.safetensors", "x.bin", 7]) {
        id = `tests/model-${++repositories}`
        hub.files.set("model.safetensors.index.json", {
          content: text({ weight_map: { x: name } }),
        })
        const error = await failure(fetchIt(), "InvalidModelFile")
        assertStringIncludes(error.message, JSON.stringify(name))
      }
    })

    it("names a shard that the hub does not have", async () => {
      hub.files.set("model.safetensors.index.json", {
        content: text({ weight_map: { x: "gone.safetensors" } }),
      })
      assertStringIncludes((await failure(fetchIt(), "ModelNotFound")).message, "gone.safetensors")
    })

    it("takes a ready export where there are no safetensors", async () => {
      const [graph, data, more] = [noise(3000, 4), noise(4000, 5), noise(10, 6)]
      hub.files.set("onnx/model.onnx", { content: graph, lfs: true })
      hub.files.set("onnx/model.onnx_data", { content: data, lfs: true })
      hub.files.set("onnx/model.onnx_data_1", { content: more, lfs: true })
      hub.files.set("onnx/model_int8.onnx", { content: more, lfs: true })
      await fetchIt()
      assertEquals(await bytesOf("onnx/model.onnx"), graph)
      assertEquals(await bytesOf("onnx/model.onnx_data"), data)
      assertEquals(await bytesOf("onnx/model.onnx_data_1"), more)
      assert(!existsSync(join(folder, "onnx", "model_int8.onnx")))
      await fetchIt({ weights: "q8" })
      assertEquals(await bytesOf("onnx/model_int8.onnx"), more)
      const error = await failure(fetchIt({ weights: "q4" }), "ModelNotFound")
      for (const name of ["model.safetensors", "model.safetensors.index.json", "model_q4.onnx"]) {
        assertStringIncludes(error.message, name)
      }
    })

    it("takes the folder of env.localModelPath for the default revision", async () => {
      const local = join(cache, "local")
      await mkdir(join(local, id), { recursive: true })
      for (const file of ["config.json", "tokenizer.json", "model.safetensors"]) {
        await writeFile(join(local, id, file), "{}")
      }
      env.localModelPath = local
      assertEquals(await fetchIt(), join(local, id))
      assertEquals(hub.seen, [])
      await failure(
        fetchModelFolder(parseHubReference(`hub:${id}@v1`), { weights: "f32" }),
        "ModelNotFound",
      )
    })

    it("shares one download between two calls", async () => {
      const content = noise(200_000)
      weights(content)
      const files = [new Set<string>(), new Set<string>()]
      const folders = await Promise.all(
        files.map((set, i) =>
          fetchIt({ weights: i ? "q4" : "f32", onProgress: ({ file }) => set.add(file) })
        ),
      )
      assertEquals(folders, [folder, folder])
      assertEquals(hub.gets("model.safetensors").length, 1)
      assertEquals(hub.gets("config.json").length, 1)
      assert(files.every((set) => set.has("model.safetensors")))
    })

    it("goes on for the second caller when the first one aborts", async () => {
      const content = noise(50_000)
      const served = weights(content, { cuts: [20_000] })
      const controller = new AbortController()
      const first = fetchIt({ signal: controller.signal })
      const second = fetchIt()
      first.catch(() => {})
      for (let i = 0; i < 400 && served.cuts?.length; i++) await sleep(5)
      controller.abort()
      await failure(first, "Aborted")
      await second
      assertEquals(await bytesOf("model.safetensors"), content)
    })

    it("fails only the call whose listener throws", async () => {
      weights(noise(5000))
      const calls = [
        fetchIt({
          onProgress: () => {
            throw new RangeError("listener")
          },
        }),
        fetchIt(),
      ]
      const [first, second] = await Promise.allSettled(calls)
      assertEquals(first.status === "rejected" && String(first.reason), "RangeError: listener")
      assertEquals(second.status, "fulfilled")
    })

    it("sends the token to the hub, and not to where the hub redirects", async () => {
      weights(noise(1000))
      const sent: string[] = []
      env.remoteHost = "https://huggingface.co/"
      env.fetch = async (url: string | URL, init: RequestInit) => {
        const { host, pathname } = new URL(url)
        sent.push(`${host} ${new Headers(init.headers).get("authorization")}`)
        const response = await fetch(hub.url + pathname, init)
        const location = response.headers.get("location")
        if (location === null) return response
        const headers = new Headers(response.headers)
        headers.set("location", `https://cdn.example${location}`)
        return new Response(null, { status: 302, headers })
      }
      const { HF_TOKEN } = process.env
      process.env.HF_TOKEN = "hf_test"
      try {
        await fetchIt()
      } finally {
        if (HF_TOKEN === undefined) delete process.env.HF_TOKEN
        else process.env.HF_TOKEN = HF_TOKEN
      }
      assertEquals(
        [...new Set(sent)].sort(),
        ["cdn.example null", "huggingface.co Bearer hf_test"],
      )
    })
  })

  describe("fetching an adapter", () => {
    const fetchAdapter = () => fetchAdapterFolder(parseHubReference(`hub:${id}`), {})

    it("brings its two files and no others, and needs no server afterwards", async () => {
      hub.files.set("adapter_config.json", { content: text({ peft_type: "LORA" }) })
      hub.files.set("adapter_model.safetensors", { content: noise(5000), lfs: true })
      assertEquals(await fetchAdapter(), folder)
      assertEquals((await readdir(folder)).sort(), [
        "adapter_config.json",
        "adapter_model.safetensors",
      ])
      assertEquals(await bytesOf("adapter_model.safetensors"), noise(5000))
      hub.seen.length = 0
      assertEquals(await fetchAdapter(), folder)
      assertEquals(hub.seen, [])
    })

    it("names the file that a repository lacks", async () => {
      const { message } = await failure(fetchAdapter(), "ModelNotFound")
      assertStringIncludes(message, "has no adapter_config.json")
      hub.files.set("adapter_config.json", { content: text({ peft_type: "LORA" }) })
      const error = await failure(fetchAdapter(), "ModelNotFound")
      assertStringIncludes(error.message, "has no adapter_model.safetensors")
    })
  })

  describe("together with transformers.js", () => {
    it("leaves files that the library finds", async () => {
      weights(noise(1000))
      await fetchIt()
      hub.seen.length = 0
      const config = await AutoConfig.from_pretrained(id, { local_files_only: true })
      assertEquals(config.model_type, "llama")
      const loaded = await AutoTokenizer.from_pretrained(id, { local_files_only: true })
      assertEquals(loaded.encode("hello world"), [1, 2])
      assertEquals(hub.seen, [])
    })

    it("finds files that the library has left", async () => {
      weights(noise(1000))
      await AutoConfig.from_pretrained(id)
      hub.seen.length = 0
      await fetchIt()
      assertEquals(hub.gets("config.json"), [])
      assertEquals(hub.gets("tokenizer.json").length, 1)
    })

    it("completes a folder filled by another program, but opens it without the hub too", async () => {
      hub.files.set("chat_template.jinja", { content: text("{{ messages }}") })
      await mkdir(folder, { recursive: true })
      for (const file of ["config.json", "tokenizer.json", "model.safetensors"]) {
        await writeFile(join(folder, file), "{}")
      }
      env.remoteHost = "http://127.0.0.1:1"
      assertEquals(await fetchIt(), folder)
      env.remoteHost = hub.url
      assertEquals(await fetchIt(), folder)
      assertEquals(await bytesOf("chat_template.jinja"), text("{{ messages }}"))
      hub.seen.length = 0
      await fetchIt()
      assertEquals(hub.seen, [])
    })
  })

  describe("a bad connection", () => {
    it("is resumed after a cut half way", async () => {
      const content = noise(400_000)
      weights(content, { cuts: [150_000, 50_000] })
      await fetchIt()
      assertEquals(hub.gets("model.safetensors").map((one) => one.range), [
        undefined,
        "bytes=150000-",
        "bytes=200000-",
      ])
      assertEquals(await bytesOf("model.safetensors"), content)
    })

    it("is resumed for files that the hub sends itself, if they are the same still", async () => {
      const content = text({ model: "x".repeat(50_000) })
      hub.files.set("tokenizer.json", { content, cuts: [20_000] })
      weights(noise(1000))
      await fetchIt()
      const [, second] = hub.gets("tokenizer.json")
      assertEquals(second.range, "bytes=20000-")
      assertEquals(second.ifRange, `"${gitSha1(content)}"`)
      assertEquals(await bytesOf("tokenizer.json"), content)
    })

    it("starts from the beginning where the server knows no ranges", async () => {
      const content = noise(100_000)
      weights(content, { cuts: [60_000], ignoresRange: true })
      await fetchIt()
      assertEquals(hub.gets("model.safetensors").map((one) => one.range), [
        undefined,
        "bytes=60000-",
      ])
      assertEquals(await bytesOf("model.safetensors"), content)
    })

    it("is resumed by a later process", async () => {
      const content = noise(100_000)
      await stopAfter(weights(content), 30_000)
      assert(!existsSync(join(folder, "model.safetensors")))
      const reports: Progress[] = []
      await fetchIt({ onProgress: (report) => reports.push(report) })
      assertEquals(hub.gets("model.safetensors").map((one) => one.range), ["bytes=30000-"])
      assertEquals(hub.gets("config.json"), [])
      assertEquals(reports[0].loaded, 30_000)
      assertEquals(await bytesOf("model.safetensors"), content)
      assertEquals(await incomplete(), [])
    })

    it("starts anew when the file has changed in between", async () => {
      await stopAfter(weights(noise(100_000)), 30_000)
      const content = noise(100_000, 7)
      weights(content)
      await fetchIt()
      assertEquals(hub.gets("model.safetensors").map((one) => one.range), [undefined])
      assertEquals(await bytesOf("model.safetensors"), content)
      assertEquals(await incomplete(), [])
    })

    it("does not trust what an earlier process has left", async () => {
      const served = weights(noise(100_000))
      await stopAfter(served, 30_000)
      const [left] = await incomplete()
      await writeFile(join(folder, left), noise(30_000, 9))
      assertStringIncludes((await failure(fetchIt(), "HubFailed")).message, "SHA-256")
      assertEquals(await incomplete(), [])
      await fetchIt()
      assertEquals(await bytesOf("model.safetensors"), served.content)
      await rm(join(folder, "model.safetensors"))
      await writeFile(join(folder, left), noise(200_000, 9))
      await fetchIt()
      assertEquals(await bytesOf("model.safetensors"), served.content)
    })

    it("bears with a server that is busy for a moment", async () => {
      const content = noise(1000)
      weights(content, { statuses: [503, 429] })
      await fetchIt()
      assertEquals(await bytesOf("model.safetensors"), content)
    })

    it("asks with GET where the server knows no HEAD", async () => {
      const content = noise(1000)
      weights(content, { knowsNoHead: true })
      hub.files.get("config.json")!.knowsNoHead = true
      await fetchIt()
      assertEquals(await bytesOf("model.safetensors"), content)
    })

    it("goes without etags where the server sends none", async () => {
      const content = noise(50_000)
      hub.files.set("tokenizer.json", { content, etag: null, cuts: [20_000] })
      weights(noise(10))
      await fetchIt()
      assertEquals(hub.gets("tokenizer.json").map((one) => one.range), [undefined, undefined])
      assertEquals(await bytesOf("tokenizer.json"), content)
      assertEquals(await incomplete(), [])
    })

    it("is given up after a few tries, and what has arrived is kept", async () => {
      weights(noise(100_000), { cuts: [10_000, 0, 0, 0] })
      const error = await failure(lowLevel({ delaysMs: [1, 2], silenceMs: 5000 }), "HubFailed")
      assertMatch(error.message, /gave up .* after 3 tries.*10000 of 100000 bytes/)
      assertEquals((await incomplete()).length, 1)
    })

    it("counts as cut when it is silent", async () => {
      const served = weights(noise(100_000), { holds: [10_000] })
      assertEquals(await lowLevel({ delaysMs: [1, 1, 1, 1], silenceMs: 250 }), true)
      assertEquals(await bytesOf("model.safetensors"), served.content)
    })

    const lowLevel = async (patience: { delaysMs: number[]; silenceMs: number }) =>
      await download({
        place: await hubPlace(parseHubReference(`hub:${id}`)),
        file: "model.safetensors",
        signal: new AbortController().signal,
        report: () => {},
        contact: { reached: false },
        patience,
      })
  })

  describe("what is refused", () => {
    const refusal = async (part: string, expected: string, found: string) => {
      const error = await failure(fetchIt(), "HubFailed")
      for (const word of [part, expected, found]) assertStringIncludes(error.message, word)
      return error
    }
    const nothingLeft = async (file: string) => {
      assert(!existsSync(join(folder, file)))
      assertEquals(await incomplete(), [])
    }

    it("is a wrong size", async () => {
      weights(noise(1000), { linkedSize: 1200 })
      const error = await refusal("size", "expected 1200 bytes", "found 1000 bytes")
      assertEquals(error.reason, {
        _tag: "HubFailed",
        url: `${hub.url}/${id}/resolve/main/model.safetensors`,
      })
      await nothingLeft("model.safetensors")
    })

    it("is a wrong SHA-256", async () => {
      const content = noise(1000)
      weights(content, { etag: sha256(noise(1000, 2)) })
      await refusal("SHA-256", sha256(noise(1000, 2)), sha256(content))
      await nothingLeft("model.safetensors")
    })

    it("is a wrong git SHA-1", async () => {
      const served = hub.files.get("config.json")!
      served.etag = `W/"${gitSha1(noise(5))}"`
      await refusal("git SHA-1", gitSha1(noise(5)), gitSha1(served.content))
      await nothingLeft("config.json")
    })

    it("is a redirect to anything but the web", async () => {
      hub.files.set("config.json", {
        content: noise(1),
        denied: [302, { location: "file:///etc/hostname" }],
      })
      assertStringIncludes(
        (await failure(
          download({
            place: await hubPlace(parseHubReference(`hub:${id}`)),
            file: "config.json",
            signal: new AbortController().signal,
            report: () => {},
            contact: { reached: false },
            patience: { delaysMs: [], silenceMs: 5000 },
          }),
          "HubFailed",
        )).message,
        "file:///etc/hostname",
      )
    })
  })

  describe("what fails is explained:", () => {
    it("a machine that is offline", async () => {
      const closed = new FakeHub()
      await closed.open()
      await closed.close()
      env.remoteHost = closed.url
      const error = await failure(fetchIt(), "HubFailed")
      assertStringIncludes(error.message, `could not reach ${closed.url}/${id}/resolve/main/config`)
      const name = id.split("/")[1]
      assertStringIncludes(error.message, `hf download ${id} --local-dir ./${name}`)
      assertStringIncludes(error.message, `{ base: "./${name}" }`)
    })

    it("a program that forbids the network", async () => {
      env.allowRemoteModels = false
      const error = await failure(fetchIt(), "HubFailed")
      assertStringIncludes(error.message, "env.allowRemoteModels")
      assertStringIncludes(error.message, "hf download")
      assertEquals(hub.seen, [])
    })

    it("a repository that is not there", async () => {
      hub.files.clear()
      const error = await failure(fetchIt(), "ModelNotFound")
      assertStringIncludes(error.message, "Check the name")
      assertEquals(error.reason, { _tag: "ModelNotFound", model: `hub:${id}` })
    })

    it("a gated or private repository, or one that may not be named", async () => {
      for (
        const [status, headers] of [
          [401, { "x-error-message": "Access is restricted" }],
          [403, {}],
          [404, { "x-error-code": "RepoNotFound" }],
        ] as const
      ) {
        hub.files.set("config.json", { content: noise(1), denied: [status, headers] })
        const error = await failure(fetchIt(), "ModelNotFound")
        assertStringIncludes(error.message, `answers ${status}`)
        assertStringIncludes(error.message, "HF_TOKEN")
        assertStringIncludes(error.message, headers["x-error-message" as never] ?? "")
      }
    })

    it("a folder that cannot be made", async () => {
      await writeFile(join(cache, "tests"), "a file where a folder has to be")
      const error = await failure(fetchIt(), "HubFailed")
      assertStringIncludes(error.message, `cannot write ${join(folder, "config.json")}`)
      assertStringIncludes(error.message, "env.cacheDir")
    })

    it("a full disk", { skip: !existsSync("/dev/full") }, async () => {
      const { content } = hub.files.get("config.json")!
      const version = { identity: gitSha1(content), size: content.length }
      await mkdir(folder, { recursive: true })
      await symlink("/dev/full", incompletePath(join(folder, "config.json"), version))
      const error = await failure(fetchIt(), "HubFailed")
      assertStringIncludes(error.message, join(folder, "config.json"))
      assertStringIncludes(error.message, "the disk is full")
    })

    it("a call aborted before it began", async () => {
      await failure(fetchIt({ signal: AbortSignal.abort() }), "Aborted")
      assertEquals(hub.seen, [])
    })
  })
})

describe("a reference to the hub", () => {
  it("names a repository and perhaps a revision", () => {
    assertEquals(parseHubReference("hub:org/name"), { repository: "org/name", revision: "main" })
    assertEquals(parseHubReference("hub:a-b/c.d_e@v1.0"), {
      repository: "a-b/c.d_e",
      revision: "v1.0",
    })
    assertEquals(parseHubReference("hub:org/name", "x/y").revision, "x/y")
    assertEquals(parseHubReference("hub:org/name@x", "x").revision, "x")
  })

  it("is refused when it is malformed", () => {
    const long = "n".repeat(97)
    for (
      const model of [
        ..."|org/name|hub:|hub:name|hub:a/b/c|hub:/name|hub:org/|hub:../name|hub:org/..".split("|"),
        ..."hub:org/a..b|hub:org/a--b|hub:-org/name|hub:org/name.git|hub:org/na me".split("|"),
        ..."hub:org/name@|hub:org/name@../x|hub:org/name@a//b|hub:org/name@a\\b".split("|"),
        ..."hub:org/name@/x|hub:org\\name|hub:org/na%2e|hub:org/name?x|hub:org/name\n".split("|"),
        `hub:org/${long}`,
        "hub:org/name@x\n",
      ]
    ) {
      const error = assertThrows(() => parseHubReference(model), GenArmError)
      assertEquals(error.reason, { _tag: "InvalidOption", path: ["model"] }, model)
    }
    const revision = assertThrows(() => parseHubReference("hub:org/name", ".."), GenArmError)
    assertEquals(revision.reason, { _tag: "InvalidOption", path: ["revision"] })
  })

  it("is refused when it names two revisions", () => {
    const error = assertThrows(() => parseHubReference("hub:org/name@a", "b"), GenArmError)
    assertEquals(error.reason, { _tag: "InvalidOption", path: ["revision"] })
    assertMatch(error.message, /"a".*"b"/)
  })
})

const tokenizer = {
  version: "1.0",
  truncation: null,
  padding: null,
  added_tokens: [],
  normalizer: null,
  pre_tokenizer: { type: "Whitespace" },
  post_processor: null,
  decoder: { type: "WordPiece", prefix: "##", cleanup: true },
  model: {
    type: "WordPiece",
    unk_token: "[UNK]",
    continuing_subword_prefix: "##",
    max_input_chars_per_word: 100,
    vocab: { "[UNK]": 0, hello: 1, world: 2 },
  },
}
