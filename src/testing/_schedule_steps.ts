/** Schedules at work on made-up steps: how states are opened, asked for a weight, and compared. */
import { definition, type PluginNode } from "../plugin/node.ts"
import type { SequenceInfo } from "../plugin/reward.ts"
import type { ScheduleDefinition, ScheduleState, ScheduleStep } from "../plugin/schedule.ts"
import { madeUpRow, madeUpScores, seedOf } from "./_made_up.ts"
import type { StateBench } from "./_state_bench.ts"
import type { Buffers, StateKind } from "./_state_text.ts"

/** Tokens that may be written: more than the texts have that single states are given. */
export const maxTokens = 24

/** A schedule, and where it is checked. */
export type ScheduleBench = StateBench<"schedule", ScheduleState, number>

/** The step after some ids. */
export type Stepper = (ids: readonly number[]) => ScheduleStep

/** Makes the steps of a text: equal ids, equal steps. */
export function stepper(
  { vocabularySize, promptIds }: SequenceInfo,
  buffers: Buffers = "reused",
): Stepper {
  let [base, scores] = [new Float32Array(vocabularySize), new Float32Array(vocabularySize)]
  return (ids) => {
    if (buffers === "fresh") [base, scores] = [base.slice(), scores.slice()]
    const seed = (name: string) => seedOf(`${name} ${ids.length}`, ids.slice(-3))
    base.set(madeUpRow(seed("base"), vocabularySize))
    // What rules ids out may leave a schedule little to do: at some steps nothing is.
    scores.set(madeUpScores(seed("scores"), vocabularySize, ids.length % 4 === 3 ? 0.02 : 0))
    const lastId = [...promptIds, ...ids].at(-1)
    return { position: ids.length, maxTokens, lastId, base, scores }
  }
}

/** The states of a schedule. */
export function scheduleKind(node: PluginNode<"schedule">): StateKind<ScheduleState, number> {
  const { open } = node[definition] as ScheduleDefinition
  return {
    open: (info) => open(node.options, info),
    asker: (info, buffers) => {
      const step = stepper(info, buffers)
      return (state, ids) => state.weight(step(ids))
    },
    difference: (found, expected) =>
      Object.is(found, expected) || Math.abs(found - expected) <= 1e-4 * (1 + Math.abs(expected))
        ? undefined
        : `the weight was ${found}, expected ${expected}`,
  }
}
