/** Schedules that keep their contract, and what mutants of them are made with. */
import { Schema } from "effect"
import { linear, live } from "genarm"
import {
  type AnyPlugin,
  defineSchedule,
  type PluginNode,
  type ScheduleDefinition,
  type ScheduleState,
} from "genarm/plugin"

/** From 0 to 1, by all ids and their order. */
export function blend(ids: readonly number[]): number {
  return ids.reduce((sum, id) => (sum * 31 + id + 1) % 97, 7) / 97
}

/** A state whose weight depends on what was written; it hears of tokens, forks and rewinds. */
export function remembering(ids: number[] = []): Required<ScheduleState> {
  return {
    weight: () => blend(ids),
    accept: (id) => void ids.push(id),
    fork: () => remembering([...ids]),
    rewind(count) {
      ids.length -= count
    },
  }
}

/** A schedule whose states are what `open` gives. */
export function mutant(open: ScheduleDefinition["open"]): AnyPlugin {
  return defineSchedule({ name: "mutant", open })
}

/** Methods that look at their state through `this`. */
class Remembering implements ScheduleState {
  #ids: readonly number[] = []

  weight(): number {
    return blend(this.#ids)
  }

  accept(id: number): void {
    this.#ids = [...this.#ids, id]
  }

  fork(): Remembering {
    const copy = new Remembering()
    copy.#ids = this.#ids
    return copy
  }

  rewind(count: number): void {
    this.#ids = this.#ids.slice(0, this.#ids.length - count)
  }
}

const withFunction = defineSchedule({
  name: "withFunction",
  options: Schema.Struct({ of: Schema.Any }),
  open: ({ of }) => ({ weight: ({ position }) => of(position) }),
})

/** By what they are. */
export const right: Readonly<Record<string, AnyPlugin | PluginNode>> = {
  "a schedule that comes with the SDK": linear({ from: 2, to: 0, tokens: 9 }),
  "one that remembers the text": mutant(() => remembering()),
  "one that can neither fork nor rewind": mutant(() => {
    const { weight, accept } = remembering()
    return { weight, accept }
  }),
  "one with a class": mutant(() => new Remembering()),
  "one that reads the rows": mutant(() => ({
    weight: ({ base, scores }) => base[5] > base[6] && scores[5] > scores[6] ? 1 : 0.5,
  })),
  "a live one": live(0.5),
  "one that holds a function, which no file can": withFunction({ of: (at: number) => at / 9 }),
}
