import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert"
import { contrast, GenArmError } from "genarm"
import { randomStream } from "genarm/math"
import type { PluginNode } from "genarm/plugin"
import { describe, it } from "node:test"
import { kthGreatest } from "../../../plugins/rewards/_greatest.ts"
import { constant } from "../../../plugins/rewards/constant.ts"
import { intersection } from "../../../plugins/rewards/intersection.ts"
import { mask, type MaskCondition } from "../../../plugins/rewards/mask.ts"
import { normalize } from "../../../plugins/rewards/normalize.ts"
import { scale } from "../../../plugins/rewards/scale.ts"
import { sum } from "../../../plugins/rewards/sum.ts"
import { union } from "../../../plugins/rewards/union.ts"
import { randomRows, row, scoresOf } from "./_rows.ts"

type Reward = PluginNode<"reward">
const ban = -Infinity
const a = row(1, -2, 0.5, ban, 3)
const b = row(0.5, -1, ban, ban, -4)

const size = 12
const close = (actual: readonly number[], expected: readonly number[]) => {
  assertEquals(actual.length, expected.length)
  expected.forEach((value, i) => assertAlmostEquals(actual[i], value, 1e-6))
}

/** Checks a law on random rewards, with tokens ruled out or without. */
function law(rule: (...rewards: Reward[]) => [Reward, Reward], bans = 0.2): void {
  for (let seed = 0; seed < 50; seed++) {
    const rows = randomRows(seed, 3, size, bans)
    const [left, right] = rule(...rows.map((scores) => row(...scores)))
    // Adding 0 makes one of the two zeros that differ in sign only.
    const [found, expected] = [left, right].map((node) => scoresOf(node, size).map((x) => x + 0))
    assertEquals(found, expected, `seed ${seed}`)
  }
}

describe("a sum of rewards", () => {
  it("adds them id by id, and rules out what one of them does", () => {
    assertEquals(scoresOf(sum({ of: [a, b] }), 5), [1.5, -3, ban, ban, -1])
    assertEquals(scoresOf(sum({ of: [a, b, a] }), 5), [2.5, -5, ban, ban, 2])
    assertEquals(scoresOf(sum({ of: [a] }), 5), scoresOf(a, 5))
  })

  it("is commutative and associative", () => {
    law((a, b) => [sum({ of: [a, b] }), sum({ of: [b, a] })])
    law((a, b, c) => [sum({ of: [sum({ of: [a, b] }), c] }), sum({ of: [a, sum({ of: [b, c] })] })])
    law((a, b, c) => [sum({ of: [a, b, c] }), sum({ of: [a, sum({ of: [b, c] })] })])
  })
})

describe("a scaled reward", () => {
  it("is multiplied, and rules out the same whatever the sign", () => {
    assertEquals(scoresOf(scale({ of: a, by: 2 }), 5), [2, -4, 1, ban, 6])
    assertEquals(scoresOf(scale({ of: a, by: -0.5 }), 5), [-0.5, 1, -0.25, ban, -1.5])
    assertEquals(scoresOf(scale({ of: a, by: 0 }), 5), [0, 0, 0, 0, 0])
  })

  it("distributes over sums, and its factors multiply", () => {
    for (const by of [2, -1, 0.5, 0]) {
      law((a, b) => [
        scale({ of: sum({ of: [a, b] }), by }),
        sum({ of: [scale({ of: a, by }), scale({ of: b, by })] }),
      ])
      law((a) => [scale({ of: scale({ of: a, by }), by: -2 }), scale({ of: a, by: -2 * by })])
    }
  })
})

describe("a union and an intersection", () => {
  it("are the greatest and the least, id by id", () => {
    assertEquals(scoresOf(union({ of: [a, b] }), 5), [1, -1, 0.5, ban, 3])
    assertEquals(scoresOf(intersection({ of: [a, b] }), 5), [0.5, -2, ban, ban, -4])
  })

  it("are commutative, associative and idempotent, and absorb each other", () => {
    for (const [one, other] of [[union, intersection], [intersection, union]]) {
      law((a, b) => [one({ of: [a, b] }), one({ of: [b, a] })])
      law((a, b, c) => [one({ of: [a, one({ of: [b, c] })] }), one({ of: [a, b, c] })])
      law((a, b, c) => [one({ of: [one({ of: [a, b] }), c] }), one({ of: [a, b, c] })])
      law((a) => [one({ of: [a, a] }), a])
      law((a, b) => [one({ of: [a, other({ of: [a, b] })] }), a])
    }
  })

  it("are each other's mirror image where nothing is ruled out", () =>
    law((a, b) => {
      const against = (of: Reward) => scale({ of, by: -1 })
      return [intersection({ of: [a, b] }), against(union({ of: [against(a), against(b)] }))]
    }, 0))

  it("keep factors above zero, and exchange roles under those below", () => {
    law((a, b) => [
      scale({ of: union({ of: [a, b] }), by: 2 }),
      union({ of: [scale({ of: a, by: 2 }), scale({ of: b, by: 2 })] }),
    ])
    law((a, b) => [
      scale({ of: union({ of: [a, b] }), by: -2 }),
      intersection({ of: [scale({ of: a, by: -2 }), scale({ of: b, by: -2 })] }),
    ], 0)
  })

  it("have constants for floor and ceiling", () => {
    assertEquals(scoresOf(union({ of: [a, constant({ value: 0 })] }), 5), [1, 0, 0.5, 0, 3])
    assertEquals(
      scoresOf(intersection({ of: [a, constant({ value: 0.75 })] }), 5),
      [0.75, -2, 0.5, ban, 0.75],
    )
  })
})

describe("a normalised reward", () => {
  it("is the log-probabilities of a distribution", () => {
    // Probabilities in the proportion 1 : 2 : 5, times e.
    const of = row(1, 1 + Math.log(2), ban, 1 + Math.log(5))
    const expected = [1 / 8, 2 / 8, 0, 5 / 8].map(Math.log)
    close(scoresOf(normalize({ of, by: "logSoftmax" }), 4), expected)
  })

  it("is in standard deviations from the mean", () => {
    // Mean 3, deviations -2, 0, 2: variance 8/3.
    const unit = Math.sqrt(8 / 3)
    const of = row(1, 3, ban, 5)
    close(scoresOf(normalize({ of, by: "zScore" }), 4), [-2 / unit, 0, ban, 2 / unit])
  })

  it("is 0 where all scores are alike, and nothing where all are ruled out", () => {
    assertEquals(scoresOf(normalize({ of: row(7, 7, ban), by: "zScore" }), 3), [0, 0, ban])
    for (const by of ["zScore", "logSoftmax"] as const) {
      assertEquals(scoresOf(normalize({ of: row(ban, ban), by }), 2), [ban, ban])
    }
  })

  it("does not depend on what is added, nor in standard deviations on the scale", () => {
    for (let seed = 0; seed < 20; seed++) {
      const [scores] = randomRows(seed, 1, size)
      const of = row(...scores)
      const moved = row(...scores.map((score) => score + 3))
      for (const by of ["zScore", "logSoftmax"] as const) {
        close(
          scoresOf(normalize({ of: moved, by }), size),
          scoresOf(normalize({ of, by }), size),
        )
        const twice = normalize({ of: normalize({ of, by }), by })
        close(scoresOf(twice, size), scoresOf(normalize({ of, by }), size))
      }
      const wide = normalize({ of: scale({ of, by: 5 }), by: "zScore" })
      close(scoresOf(wide, size), scoresOf(normalize({ of, by: "zScore" }), size))
    }
  })
})

describe("a masked reward", () => {
  const of = row(1, 2, 3, 4, 5)
  const seen = row(-1, 0, 2, ban, 2)
  const masked = (where: MaskCondition, otherwise?: "ban" | "zero") =>
    scoresOf(mask({ of, where: { of: seen, ...where }, ...otherwise && { otherwise } }), 5)

  it("counts where another reward is within bounds, and is 0 or a ban elsewhere", () => {
    assertEquals(masked({ atLeast: 0 }), [0, 2, 3, 0, 5])
    assertEquals(masked({ atLeast: 0 }, "zero"), [0, 2, 3, 0, 5])
    assertEquals(masked({ atLeast: 0 }, "ban"), [ban, 2, 3, ban, 5])
    assertEquals(masked({ atMost: 0 }), [1, 2, 0, 4, 0])
    assertEquals(masked({ atLeast: -1, atMost: 0 }), [1, 2, 0, 0, 0])
  })

  it("counts among the greatest scores of another, those that are equal included", () => {
    assertEquals(masked({ top: 1 }), [0, 0, 3, 0, 5])
    assertEquals(masked({ top: 2 }), [0, 0, 3, 0, 5])
    assertEquals(masked({ top: 3 }), [0, 2, 3, 0, 5])
    // Never what the other rules out.
    assertEquals(masked({ top: 5 }), [1, 2, 3, 0, 5])
    assertEquals(masked({ top: 9 }), [1, 2, 3, 0, 5])
  })

  it("counts within a share of the likeliest, of the base where no reward is named", () => {
    const base = Float32Array.of(0.5, 0.3, 0.1, 0.06, 0.04).map(Math.log)
    const plausible = (share: number, otherwise?: "ban") =>
      scoresOf(
        mask({ of, where: { plausible: share }, ...otherwise && { otherwise } }),
        5,
        () => base,
      )
    assertEquals(plausible(0.15), [1, 2, 3, 0, 0])
    assertEquals(plausible(0.1, "ban"), [1, 2, 3, 4, ban])
    assertEquals(plausible(1), [1, 0, 0, 0, 0])
  })

  it("needs all of several conditions", () => {
    assertEquals(masked({ top: 3, atMost: 1 }), [0, 2, 0, 0, 0])
  })

  it("finds the greatest as sorting does", () => {
    const heap = new Float32Array(20)
    for (let seed = 0; seed < 40; seed++) {
      const [scores] = randomRows(seed, 1, 20)
      const sorted = [...scores].sort((a, b) => b < a ? -1 : 1)
      for (const k of [1, 2, 5, 19, 20]) {
        assertEquals(kthGreatest(Float32Array.from(scores), k, heap), sorted[k - 1])
      }
      assertEquals(kthGreatest(Float32Array.from(scores), 21, new Float32Array(21)), ban)
    }
  })
})

describe("a contrast with plausibility", () => {
  // The example of contrastive decoding: the amateur is wrong about what neither finds likely.
  const expert = Float32Array.of(0.59, 0.3, 0.07, 0.039, 0.001).map(Math.log)
  const amateur = Float32Array.of(0.5, 0.4, 0.05, 0.04999, 0.00001).map(Math.log)
  const contrasted = (plausible?: number | boolean) =>
    scoresOf(
      contrast({ expert: "e", amateur: "a", ...plausible !== undefined && { plausible } }),
      5,
      (name) => name === "expert" ? expert : amateur,
    )
  const all = [0.59 / 0.5, 0.3 / 0.4, 0.07 / 0.05, 0.039 / 0.04999, 100].map(Math.log)

  it("rules out what is below a share of the expert's likeliest", () => {
    close(contrasted(), all)
    close(contrasted(false), all)
    close(
      contrasted(true),
      [...all.slice(0, 2), ban, ban, ban].with(2, all[2] + 0 * 1).with(3, ban),
    )
    close(contrasted(0.3), [all[0], all[1], ban, ban, ban])
    close(contrasted(0.05), [all[0], all[1], all[2], all[3], ban])
    close(contrasted(1), [all[0], ban, ban, ban, ban])
  })

  it("is a mask of the contrast by the expert, up to what the expert rules out", () => {
    for (const share of [0.02, 0.09, 0.7]) {
      const expertRow = row(...[...expert])
      const masked = mask({
        of: row(...contrasted()),
        where: { of: expertRow, plausible: share },
        otherwise: "ban",
      })
      assertEquals(contrasted(share), scoresOf(masked, 5))
    }
  })
})

describe("rewards made of rewards", () => {
  it("hand on what is no number, instead of hiding it", () => {
    const broken = row(NaN, 1)
    const fine = row(0, 0)
    for (
      const node of [
        sum({ of: [fine, broken] }),
        scale({ of: broken, by: 2 }),
        union({ of: [fine, broken] }),
        union({ of: [broken, fine] }),
        intersection({ of: [fine, broken] }),
        normalize({ of: broken, by: "zScore" }),
        normalize({ of: broken, by: "logSoftmax" }),
        mask({ of: broken, where: { of: fine, atLeast: 0 } }),
        mask({ of: fine, where: { of: broken, atLeast: 0 } }),
        mask({ of: fine, where: { of: broken, top: 1 } }),
        mask({ of: fine, where: { of: broken, plausible: 0.1 }, otherwise: "ban" }),
      ]
    ) {
      assert(Number.isNaN(scoresOf(node, 2)[0]), JSON.stringify(node))
    }
  })

  it("refuse wrong options, and wrong parts where they stand", () => {
    const wrong = (make: () => unknown, part: string, ...path: (string | number)[]) => {
      const error = assertThrows(make, GenArmError, part)
      assertEquals(error.reason, { _tag: "InvalidOption", path })
    }
    wrong(() => sum({ of: [] }), "of", "of")
    wrong(() => sum({} as never), "Missing", "of")
    wrong(() => sum({ of: [a, 7 as never] }), "such as arm(", "of", 1)
    wrong(() => union({ of: [{ plugin: "arm", options: {} }] }), "which is data", "of", 0)
    wrong(() => union({ of: [{ plugin: "arm", options: {} }] }), "at of[0]", "of", 0)
    wrong(() => union({ off: [a] } as never), 'did you mean "of"', "off")
    wrong(() => scale({ of: a, by: NaN }), "by", "by")
    wrong(() => scale({ of: "a" as never, by: 1 }), '"a"', "of")
    wrong(() => constant({ value: Infinity }), "value", "value")
    wrong(() => normalize({ of: a, by: "max" as never }), "max", "by")
    wrong(() => mask({ of: a, where: {} }), "Expected a condition", "where")
    wrong(() => mask({ of: a, where: { of: b } }), "Expected a condition", "where")
    wrong(() => mask({ of: a, where: { top: 0 } }), "top", "where", "top")
    wrong(() => mask({ of: a, where: { plausible: 1.1 } }), "plausible", "where", "plausible")
    wrong(
      () => mask({ of: a, where: { pluasible: 1 } as never }),
      '"plausible"',
      "where",
      "pluasible",
    )
    wrong(
      () => mask({ of: a, where: { of: union as never, top: 1 } }),
      "of",
      "where",
      "of",
      "options",
      "of",
    )
    wrong(() => contrast({ expert: "a", amateur: "b", plausible: 0 }), "plausible", "plausible")
    wrong(() => contrast({ expert: "a", amateur: "b", plausible: 2 }), "plausible", "plausible")
  })

  it("score the same at every step, whatever was in the arrays before", () => {
    const random = randomStream(3)
    const node = union({ of: [a, sum({ of: [b, mask({ of: a, where: { of: b, top: 2 } })] })] })
    const first = scoresOf(node, 5)
    for (let i = 0; i < 5; i++) {
      assertEquals(scoresOf(node, 5, () => new Float32Array(5).fill(random.nextUniform())), first)
    }
  })
})
