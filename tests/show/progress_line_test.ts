import { assert, assertEquals, assertStringIncludes } from "@std/assert"
import { describe, it } from "node:test"
import { progressLine } from "../../src/show/progress_line.ts"

const MB = 1e6
const report = (loaded: number, total: number | undefined, more = {}) => ({
  stage: "download" as const,
  model: "hub:org/name",
  file: "model.safetensors",
  loaded,
  ...(total === undefined ? {} : { total }),
  ...more,
})

/** A terminal that shows what is on its line now. */
function terminal(columns: number, isTTY = true) {
  let time = 0
  const writes: string[] = []
  const stream = { isTTY, columns, write: (text: string) => writes.push(text) }
  const line = progressLine(stream, () => time)
  return {
    line,
    writes,
    wait: (seconds: number) => time += seconds * 1000,
    shown: () => writes.at(-1)?.replace("\r\x1b[K", ""),
  }
}

describe("the progress line", () => {
  it("shows share, amount, rate and the time left", () => {
    const { line, wait, shown } = terminal(120)
    line.report(report(100 * MB, 281 * MB))
    assertEquals(shown(), "model.safetensors  ▓▓▓▓▓▓▓░░░░░░░░░░░░░  35 %  100/281 MB")
    wait(2)
    line.report(report(124.6 * MB, 281 * MB))
    assertEquals(
      shown(),
      "model.safetensors  ▓▓▓▓▓▓▓▓░░░░░░░░░░░░  44 %  125/281 MB  12.3 MB/s  13 s left",
    )
  })

  it("overwrites itself and erases itself when it is done", () => {
    const { line, writes } = terminal(120)
    line.report(report(0, 10))
    line.report(report(10, 10))
    line.done()
    line.done()
    assertEquals(writes.length, 3)
    assert(writes.every((text) => text.startsWith("\r\x1b[K") && !text.includes("\n")))
    assertEquals(writes[2], "\r\x1b[K")
  })

  it("writes nothing where there is no terminal", () => {
    const { line, writes } = terminal(120, false)
    line.report(report(5, 10))
    line.done()
    assertEquals(writes, [])
  })

  it("never fills the last column, however narrow the terminal", () => {
    for (const columns of [1, 10, 25, 40, 60, 80]) {
      const { line, wait, shown } = terminal(columns)
      line.report(report(100 * MB, 281 * MB))
      wait(1)
      line.report(report(118 * MB, 281 * MB))
      assert((shown() ?? "").length <= Math.max(columns - 1, 0), `${columns}: ${shown()}`)
    }
  })

  it("takes a width of 0 for an unknown one, as some terminals give it", () => {
    const { line, shown } = terminal(0)
    line.report(report(100 * MB, 281 * MB))
    assertEquals(shown(), "model.safetensors  ▓▓▓▓▓▓▓░░░░░░░░░░░░░  35 %  100/281 MB")
  })

  it("shows the rate of the last seconds, of this file, without what was there before", () => {
    const { line, wait, shown } = terminal(120)
    line.report(report(0, 1000 * MB))
    for (let i = 1; i <= 10; i++) {
      wait(1)
      line.report(report(i * 50 * MB, 1000 * MB))
    }
    for (let i = 1; i <= 10; i++) {
      wait(1)
      line.report(report((500 + i) * MB, 1000 * MB))
    }
    assertStringIncludes(shown() ?? "", "1.0 MB/s  8 min left")
    line.report(report(700 * MB, 900 * MB, { file: "other.safetensors" }))
    assert(!shown()?.includes("/s"), shown())
  })

  it("does without a total, and names the loading of weights", () => {
    const { line, shown } = terminal(120)
    line.report(report(1500, undefined))
    assertEquals(shown(), "model.safetensors  1.5 kB")
    line.report(report(3 * MB, 3 * MB, { stage: "load" }))
    assertEquals(shown(), `loading model.safetensors  ${"▓".repeat(20)}  100 %  3.0/3.0 MB`)
    line.report(report(0, 0))
    assertStringIncludes(shown() ?? "", "100 %  0/0 B")
  })
})
