/** Texts of an expression, by way of its automaton: which match, and some that do. */
import { byteGraph } from "../../../plugins/rewards/_byte_graph.ts"
import { ByteStates, dead } from "../../../plugins/rewards/_byte_states.ts"
import type { Expression } from "../../../plugins/rewards/_expression.ts"
import type { Draw } from "./_sequences.ts"

/** Whether a text is one of the expression's. */
export function matching(expression: Expression): (text: string) => boolean {
  const states = new ByteStates(byteGraph(expression), false)
  return (text) => {
    let state = states.start
    for (const byte of new TextEncoder().encode(text)) state = states.next(state, byte)
    return states.accepts(state)
  }
}

/** Draws a text of the expression: byte by byte, and the end where it may be. */
export function drawText(expression: Expression, draw: Draw): string {
  const states = new ByteStates(byteGraph(expression), false)
  const bytes: number[] = []
  for (let state = states.start; state !== dead;) {
    const next = Array.from({ length: 256 }, (_, byte) => byte)
      .filter((byte) => states.next(state, byte) !== dead)
    if (states.accepts(state) && (next.length === 0 || draw(4) === 0)) break
    const byte = next[draw(next.length)]
    bytes.push(byte)
    state = states.next(state, byte)
  }
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes))
}
