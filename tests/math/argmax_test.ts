import { assertEquals } from "@std/assert"
import { describe, it } from "node:test"
import { argmax } from "genarm/math"
import { scoreCases } from "./_reference.ts"

describe("argmax", () => {
  it("finds the first greatest score of any row", () => {
    for (const { name, scores } of scoreCases(1)) {
      assertEquals(argmax(scores), scores.indexOf(Math.max(...scores)), name)
    }
  })

  it("finds the maximum at every place of rows of up to nine", () => {
    for (let size = 1; size <= 9; size++) {
      for (let id = 0; id < size; id++) {
        const scores = new Float32Array(size).fill(-3)
        scores[id] = -2
        assertEquals(argmax(scores), id)
      }
    }
  })

  it("prefers the lowest of tied ids", () => {
    assertEquals(argmax(Float32Array.of(1, 5, 2, 5, 5, 5, 5, 5)), 1)
    assertEquals(argmax(Float32Array.of(-0, 0)), 0)
  })

  it("ignores NaN", () => {
    assertEquals(argmax(Float32Array.of(NaN, -7, NaN, -6, NaN)), 3)
  })

  it("gives -1 when nothing is above -Infinity", () => {
    assertEquals(argmax(new Float32Array(0)), -1)
    assertEquals(argmax(new Float32Array(9).fill(-Infinity)), -1)
    assertEquals(argmax(new Float32Array(5).fill(NaN)), -1)
  })

  it("takes +Infinity for the greatest score", () => {
    assertEquals(argmax(Float32Array.of(3, Infinity, 4)), 1)
  })
})
