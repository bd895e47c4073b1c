/** @module A weight that the program changes while text streams. */
import { definition, GenArmError, type PluginNode, transient } from "genarm/plugin"

/** A weight in the program's hands. A graph that holds one cannot be saved. */
export interface LiveWeight extends PluginNode<"schedule"> {
  /** The weight of the next token of every text that uses it. */
  readonly value: number
  /** Changes it; tokens already written keep the weight they had. */
  set(value: number): void
}

/**
 * A weight that can be changed from outside, between any two tokens.
 *
 * @param initial The weight until it is set.
 *
 * @example
 * ```ts
 * import { defineGraph, live, prompted } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const mood = live(1)
 * defineGraph({
 *   base: "./models/base",
 *   rewards: { mood: { reward: prompted({ prefix: "A happy story. " }), weight: mood } },
 * })
 * mood.set(-1) // from the next token on
 * assertEquals(mood.value, -1)
 * ```
 */
export function live(initial: number): LiveWeight {
  let current = checked(initial)
  return {
    plugin: "live",
    options: { initial },
    [definition]: {
      name: "live",
      kind: "schedule",
      open: () => ({ weight: () => current }),
    } as NonNullable<PluginNode<"schedule">[typeof definition]>,
    [transient]: "there is a live value",
    get value() {
      return current
    },
    set(value) {
      current = checked(value)
    },
  }
}

function checked(value: number): number {
  if (Number.isFinite(value)) return value
  throw new GenArmError(
    { _tag: "InvalidOption", path: [] },
    `live: expected a finite weight, found ${value}`,
  )
}
