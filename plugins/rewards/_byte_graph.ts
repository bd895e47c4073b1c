/**
 * An expression as a graph over UTF-8 bytes: edges that take a byte, and edges that take none
 * (Thompson, https://doi.org/10.1145/363347.363387).
 */
import { type Expression, inJson, PatternProblem } from "./_expression.ts"
import { type ByteTree, byteTree } from "./_utf8_ranges.ts"
import type { CodePoints } from "./_code_points.ts"

/** Places that a graph may have: about 50 MB. */
const mostPlaces = 200_000

/** An edge that takes one byte of a range. */
export interface ByteEdge {
  readonly from: number
  readonly to: number
  readonly target: number
}

/** A graph that leads from `start` to `end` along the bytes of every text of an expression. */
export interface ByteGraph {
  readonly start: number
  readonly end: number
  /** By place: edges that take a byte. */
  readonly edges: readonly (readonly ByteEdge[])[]
  /** By place: where one gets without taking any. */
  readonly free: readonly (readonly number[])[]
}

/**
 * Builds the graph of an expression.
 *
 * @throws {PatternProblem} Where it is too large.
 */
export function byteGraph(expression: Expression): ByteGraph {
  const builder = new Builder()
  const [start, end] = [builder.place(), builder.place()]
  builder.add(expression, start, end)
  return { start, end, edges: builder.edges, free: builder.free }
}

class Builder {
  readonly edges: ByteEdge[][] = []
  readonly free: number[][] = []

  place(): number {
    if (this.edges.length === mostPlaces) {
      throw new PatternProblem(
        `the pattern is too large: more than ${mostPlaces} states; make its counts or depth smaller`,
      )
    }
    this.free.push([])
    return this.edges.push([]) - 1
  }

  /** Adds ways from `start` to `end`: never one into `start` or out of `end`. */
  add(expression: Expression, start: number, end: number): void {
    switch (expression.type) {
      case "set":
        return this.addCharacter(expression.points, start, end)
      case "sequence": {
        let at = start
        expression.items.forEach((item, i) => {
          const next = i === expression.items.length - 1 ? end : this.place()
          this.add(item, at, next)
          at = next
        })
        if (expression.items.length === 0) this.free[start].push(end)
        return
      }
      case "choice":
        for (const option of expression.options) this.add(option, start, end)
        return
      case "repeat":
        return this.#addRepeat(expression, start, end)
      case "members":
        return this.#addMembers(expression, start, end)
      case "content":
        return this.#addContent(expression, start, end)
      case "anchor":
        throw new TypeError("internal: an anchor in an expression to be built")
    }
  }

  addCharacter(points: CodePoints, start: number, end: number): void {
    const places = new Map<ByteTree, number>()
    const visit = (tree: ByteTree, at: number) => {
      for (const { from, to, next } of tree) {
        const known = next === undefined ? end : places.get(next)
        const target = known ?? this.place()
        this.edges[at].push({ from, to, target })
        if (known !== undefined) continue
        places.set(next!, target)
        visit(next!, target)
      }
    }
    visit(byteTree(points), start)
  }

  #addRepeat(
    { item, min, max, separator }: Extract<Expression, { type: "repeat" }>,
    start: number,
    end: number,
  ): void {
    if (min === 0) this.free[start].push(end)
    if (max === 0) return
    // The last copy goes round where there is no limit.
    const copies = max === Infinity ? Math.max(1, min) : max
    let before = start
    for (let count = 1; count <= copies; count++) {
      const [first, last] = [this.place(), this.place()]
      if (count > 1 && separator !== undefined) this.add(separator, before, first)
      else this.free[before].push(first)
      this.add(item, first, last)
      if (count >= min) this.free[last].push(end)
      if (count === copies && max === Infinity) {
        if (separator === undefined) this.free[last].push(first)
        else this.add(separator, last, first)
      }
      before = last
    }
  }

  /** Two lanes: nothing written so far, and something, which a separator follows. */
  #addMembers(
    { items, separator }: Extract<Expression, { type: "members" }>,
    start: number,
    end: number,
  ): void {
    let bare = start
    let written = this.place()
    for (const { item, isOptional } of items) {
      const [first, nextBare, nextWritten] = [this.place(), this.place(), this.place()]
      this.free[bare].push(first)
      this.add(separator, written, first)
      this.add(item, first, nextWritten)
      if (isOptional) {
        this.free[bare].push(nextBare)
        this.free[written].push(nextWritten)
      }
      bare = nextBare
      written = nextWritten
    }
    this.free[bare].push(end)
    this.free[written].push(end)
  }

  /** The item's own graph over characters, once for each number of characters so far. */
  #addContent(
    { item, min, max }: Extract<Expression, { type: "content" }>,
    start: number,
    end: number,
  ): void {
    const inner = new CharacterGraph()
    const [first, last] = [inner.place(), inner.place()]
    inner.add(item, first, last)
    // Counting beyond `min` tells nothing where there is no limit.
    const most = max === Infinity ? min : max
    const places = new Map<number, number>()
    const waiting: [place: number, count: number][] = []
    const placeOf = (place: number, count: number) => {
      const key = place * (most + 1) + count
      const known = places.get(key) ?? this.place()
      if (!places.has(key)) {
        places.set(key, known)
        waiting.push([place, count])
      }
      return known
    }
    this.free[start].push(placeOf(first, 0))
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const [place, count] = next
      const at = placeOf(place, count)
      if (place === last && count >= min) this.free[at].push(end)
      for (const target of inner.free[place]) this.free[at].push(placeOf(target, count))
      if (count === max) continue
      for (const { points, target } of inner.characters[place]) {
        this.add(inJson(points), at, placeOf(target, Math.min(count + 1, most)))
      }
    }
  }
}

/** A graph whose edges take a character, not its bytes. */
class CharacterGraph extends Builder {
  readonly characters: { readonly points: CodePoints; readonly target: number }[][] = []

  override place(): number {
    this.characters.push([])
    return super.place()
  }

  override addCharacter(points: CodePoints, start: number, target: number): void {
    this.characters[start].push({ points, target })
  }
}

/** Whether a graph has a way from its start to its end. */
export function hasText({ start, end, edges, free }: ByteGraph): boolean {
  const seen = new Set([start])
  const waiting = [start]
  for (let place = waiting.pop(); place !== undefined; place = waiting.pop()) {
    for (const target of [...free[place], ...edges[place].map(({ target }) => target)]) {
      if (!seen.has(target)) waiting.push(target)
      seen.add(target)
    }
  }
  return seen.has(end)
}
