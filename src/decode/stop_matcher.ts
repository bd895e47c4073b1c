/** Stop strings in streamed text: what may be the beginning of one is held back until it is not. */

/** Looks for stop strings in text that comes in pieces. */
export class StopMatcher {
  readonly #stops: readonly string[]
  #held = ""

  constructor(stops: readonly string[]) {
    this.#stops = stops
  }

  /** Adds text; gives what is certain not to be part of a stop string, and whether one was met. */
  push(text: string): { readonly text: string; readonly stopped: boolean } {
    const all = this.#held + text
    const found = this.#stops.map((stop) => all.indexOf(stop)).filter((at) => at >= 0)
    if (found.length > 0) {
      this.#held = ""
      return { text: all.slice(0, Math.min(...found)), stopped: true }
    }
    const safe = all.length - this.#beginning(all)
    this.#held = all.slice(safe)
    return { text: all.slice(0, safe), stopped: false }
  }

  /** The text still held back, at the end. */
  flush(): string {
    const held = this.#held
    this.#held = ""
    return held
  }

  /** The length of the longest end of `text` with which a stop string begins. */
  #beginning(text: string): number {
    let longest = 0
    for (const stop of this.#stops) {
      for (let size = Math.min(stop.length - 1, text.length); size > longest; size--) {
        if (text.endsWith(stop.slice(0, size))) longest = size
      }
    }
    return longest
  }
}
