/** Checks of what a schedule or a sampler keeps of a text: it stays with it, through forks and rewinds. */
import type { PluginKind } from "../plugin/node.ts"
import type { StateBench } from "./_state_bench.ts"
import { checkSaid, type Kept, type StateText } from "./_state_text.ts"
import type { Check } from "./_suite.ts"

/** The checks of what a state keeps. */
export interface StateMoves {
  readonly apart: Check
  readonly fork: Check
  readonly rewind: Check
  readonly nothing: Check
}

/** Makes the checks; they need `again`, that being asked changes nothing. */
export function stateMoves<Kind extends PluginKind, State extends Kept<State>, Said>(
  bench: StateBench<Kind, State, Said>,
  again: Check,
): StateMoves {
  const { name, kind } = bench

  const apart: Check = {
    name: "keeps two texts apart",
    needs: [again],
    run: () =>
      bench.inRoom(({ open, first, other }) => {
        const expected = [open().read(first), open().read(other)]
        inTurns([open(), open()], [first, other]).forEach((said, i) =>
          checkSaid(kind, said, expected[i], {
            what: `${name} read two texts at once, and one changed the other`,
            remedy: "Keep what belongs to a text in the state that open gives, not in the plugin",
          })
        )
      }),
  }

  const fork: Check = {
    name: "goes on apart after a fork, in both texts",
    needs: [apart],
    run: () =>
      bench.inRoom(({ open, first, branch, shared }) => {
        const [one, two] = [open().read(first), open().read(branch)]
        const remedy = "fork gives a state of its own, with copies of what accept changes"
        const text = open()
        text.read(first.slice(0, shared))
        if (!text.follows("fork")) return
        const copy = text.fork()
        const copyOfCopy = copy.fork()
        const said = inTurns([text, copy], [first.slice(shared), branch.slice(shared)])
        checkSaid(kind, said[0], one.slice(shared), {
          what: `${name} was forked, and the first text changed`,
          ...{ remedy, from: shared },
        })
        checkSaid(kind, said[1], two.slice(shared), {
          what: `${name} was forked, and the copy is not as its text`,
          ...{ remedy, from: shared },
        })
        checkSaid(kind, copyOfCopy.read(first.slice(shared)), one.slice(shared), {
          what: `${name} was forked twice, and the copy's copy is not as its text`,
          ...{ remedy, from: shared },
        })
      }),
  }

  const rewind: Check = {
    name: "forgets the tokens that are taken back",
    needs: [apart],
    run: () =>
      bench.inRoom(({ open, first, branch, shared }) => {
        const [one, two] = [open().read(first), open().read(branch)]
        const remedy = "rewind(count) forgets the last count tokens that accept has heard of"
        const text = open()
        text.read(first)
        if (!text.follows("rewind")) return
        text.rewind(first.length - shared)
        checkSaid(kind, text.read(branch.slice(shared)), two.slice(shared), {
          what: `${name} was rewound from ${first.length} tokens to ${shared}, and then`,
          ...{ remedy, from: shared },
        })
        text.rewind(branch.length)
        checkSaid(kind, text.read(first), one, {
          what: `${name} was rewound to the prompt, and then`,
          remedy,
        })
      }),
  }

  const nothing: Check = {
    name: "changes nothing when no tokens are taken back",
    needs: [apart],
    run: () =>
      bench.inRoom(({ open, first }) => {
        const expected = open().read(first)
        const text = open()
        text.read(first)
        if (!text.follows("rewind")) return
        text.rewind(0)
        checkSaid(kind, [text.ask()], expected.slice(-1), {
          what: `${name} was told rewind(0), and then`,
          remedy: "Nothing is forgotten then; ids.slice(0, -0) is empty",
          from: first.length,
        })
      }),
  }

  return { apart, fork, rewind, nothing }
}

/** Reads texts at the same time, one token of each in turn. */
function inTurns<State extends Kept<State>, Said>(
  texts: readonly StateText<State, Said>[],
  ids: readonly (readonly number[])[],
): Said[][] {
  const said = texts.map((text) => [text.ask()])
  for (let step = 0; step < Math.max(...ids.map(({ length }) => length)); step++) {
    for (const [i, text] of texts.entries()) {
      if (step >= ids[i].length) continue
      text.accept(ids[i][step])
      said[i].push(text.ask())
    }
  }
  return said
}
