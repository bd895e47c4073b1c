/** Plugins of a third party, as a graph's file imports them. */
import { Schema } from "effect"
import { defineReward, defineSchedule } from "genarm/plugin"

export const shout = defineReward({
  name: "shout",
  options: Schema.Struct({ loudness: Schema.Finite }),
  open: ({ loudness }) => ({ score: (_, out) => out.fill(loudness) }),
})

const everyOther = defineSchedule({
  name: "everyOther",
  open: () => ({ weight: ({ position }) => position % 2 }),
})

export default everyOther
export const again = shout
export const version = 1
