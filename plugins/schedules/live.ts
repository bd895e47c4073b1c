/** @module A weight that the program changes while text streams. */
import { SubscriptionRef } from "effect"
import { definition, GenArmError, type PluginNode, transient } from "genarm/plugin"

/** A weight that the program holds elsewhere. A graph that has one cannot be saved. */
export interface LiveReading extends PluginNode<"schedule"> {
  /** The weight of the next token of every text that uses it. */
  readonly value: number
}

/** A weight in the program's hands. */
export interface LiveWeight extends LiveReading {
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
export function live(initial: number): LiveWeight
/** The same weight: what takes a number or a live weight can call `live` on either. */
export function live(weight: LiveWeight): LiveWeight
/**
 * The weight that an Effect program keeps in a `SubscriptionRef`: read at each token, changed through the
 * reference alone. What others subscribe to, such as a dial on a screen, so shows what is in force.
 *
 * @example
 * ```ts
 * import { Effect, SubscriptionRef } from "effect"
 * import { live } from "genarm"
 * import { assertEquals } from "@std/assert"
 *
 * const ref = await Effect.runPromise(SubscriptionRef.make(1))
 * const mood = live(ref)
 * await Effect.runPromise(SubscriptionRef.set(ref, -1))
 * assertEquals(mood.value, -1)
 * ```
 */
export function live(ref: SubscriptionRef.SubscriptionRef<number>): LiveReading
export function live(
  from: number | LiveWeight | SubscriptionRef.SubscriptionRef<number>,
): LiveReading {
  if (SubscriptionRef.isSubscriptionRef(from)) {
    const read = () => SubscriptionRef.getUnsafe(from) as number
    return Object.defineProperty(node(checked(read()), read), "value", { get: read }) as LiveReading
  }
  if (typeof from === "object" && from !== null && transient in from) return from
  let current = checked(from)
  return {
    ...node(current, () => current),
    get value() {
      return current
    },
    set(value) {
      current = checked(value)
    },
  } as LiveWeight
}

function node(initial: number, read: () => number): PluginNode<"schedule"> {
  return {
    plugin: "live",
    options: { initial },
    [definition]: {
      name: "live",
      kind: "schedule",
      open: () => ({ weight: read }),
    } as NonNullable<PluginNode<"schedule">[typeof definition]>,
    [transient]: "there is a live value",
  }
}

function checked(value: unknown): number {
  if (typeof value === "number" && Number.isFinite(value)) return value
  throw new GenArmError(
    { _tag: "InvalidOption", path: [] },
    `live: expected a finite weight, found ${value}`,
  )
}
