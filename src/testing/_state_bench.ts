/** What the checks of a schedule and of a sampler share: where they run, and the texts that are read. */
import type { PluginKind, PluginNode } from "../plugin/node.ts"
import type { SequenceInfo } from "../plugin/reward.ts"
import { madeUpIds } from "./_made_up.ts"
import { type Place, withGraph } from "./_scope.ts"
import { type Buffers, type Kept, type StateKind, StateText } from "./_state_text.ts"

/** Tokens of the texts, and of what two of them begin with. */
const length = 12
const shared = 5
/** Different ids in a text: few, so that they come again. */
const different = 20

/** Ids of texts. */
export interface StateTexts {
  readonly first: readonly number[]
  /** Begins as `first` does, as far as `shared`. */
  readonly branch: readonly number[]
  readonly other: readonly number[]
  readonly shared: number
}

/** What a check is given: the texts, and how states are opened. */
export interface StateRoom<State extends Kept<State>, Said> extends StateTexts {
  /** What the plugin learns of the sequence. */
  readonly info: SequenceInfo
  open(buffers?: Buffers): StateText<State, Said>
}

/** A schedule or a sampler, and where it is checked. */
export class StateBench<Kind extends PluginKind, State extends Kept<State>, Said> {
  readonly node: PluginNode<Kind>
  readonly place: Place
  /** What failures call the plugin. */
  readonly name: string
  readonly kindOf: (node: PluginNode<Kind>) => StateKind<State, Said>

  constructor(
    node: PluginNode<Kind>,
    place: Place,
    kindOf: (node: PluginNode<Kind>) => StateKind<State, Said>,
  ) {
    this.node = node
    this.place = place
    this.name = `"${node.plugin}"`
    this.kindOf = kindOf
  }

  get kind(): StateKind<State, Said> {
    return this.kindOf(this.node)
  }

  /** Opens the base, and texts on it. */
  inRoom<A>(
    use: (room: StateRoom<State, Said>) => A,
    node: PluginNode<Kind> = this.node,
  ): Promise<A> {
    const { prompt, seed } = this.place
    const kind = this.kindOf(node)
    return withGraph(this.place, {}, async ({ base: { model } }) => {
      const { tokenizer, eos, engine: { vocabularySize } } = model
      const info: SequenceInfo = {
        vocabularySize,
        promptIds: tokenizer.encode(prompt),
        eos,
        token: (id) => tokenizer.token(id),
        decode: (ids) => tokenizer.decode(ids),
        encode: (text) => tokenizer.encodeContinuation(text),
      }
      const pool = madeUpIds(seed, 4 * different, 0, vocabularySize)
        .filter((id) => tokenizer.token(id) !== undefined && !eos.includes(id))
        .slice(0, different)
      const draw = (salt: number, count: number) =>
        madeUpIds((seed + salt) % 2 ** 32, count, 0, pool.length).map((at) => pool[at])
      const first = draw(1, length)
      return await use({
        first,
        branch: [...first.slice(0, shared), ...draw(2, length - shared)],
        other: draw(3, length),
        shared,
        info,
        open: (buffers = "reused") =>
          new StateText(kind, { ...info, promptIds: [...info.promptIds] }, { buffers }),
      })
    })
  }
}
