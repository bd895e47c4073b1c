/** The rewards that come with the SDK, with options in which they behave differently. */
import {
  arm,
  classifier,
  constant,
  contrast,
  crossTokenizer,
  intersection,
  length,
  lexicon,
  logitBias,
  mask,
  normalize,
  pattern,
  policyMixture,
  prompted,
  proxyTuning,
  repetition,
  scale,
  scorer,
  sum,
  trajectory,
  union,
  valueHead,
} from "genarm"
import type { PluginNode } from "genarm/plugin"

const mood = contrast({ expert: { prefix: "happy " }, amateur: { prefix: "sad " } })
const fresh = repetition({ frequency: 0.5, presence: 0.2, window: 4, prompt: true })
const words = { good: 2, happy: 1, goodness: 3, sad: -2 }
const person = {
  type: "object",
  properties: { name: { type: "string", maxLength: 4 }, age: { type: "integer" } },
  required: ["name"],
} as const
const policies = {
  helpful: { model: "./helpful", weight: 0.7 },
  calm: { adapter: "./calm", weight: 0.3 },
}

/** By what tests call them. */
export const rewards: Readonly<Record<string, PluginNode<"reward">>> = {
  "arm of a model": arm({ model: "./helpful" }),
  "arm of an adapter": arm({ adapter: "./helpful" }),
  "arm of a quantised model": arm({ model: "hub:org/helpful", revision: "main", weights: "q4" }),
  "constant": constant({ value: -1.5 }),
  "contrast of prefixes": mood,
  "contrast of models": contrast({ expert: "./expert", amateur: "./amateur" }),
  "contrast of plausible tokens": contrast({
    expert: "./expert",
    amateur: "./amateur",
    plausible: true,
  }),
  "crossTokenizer over bytes": crossTokenizer({ of: arm({ model: "bytes:helpful" }) }),
  "crossTokenizer of longest matches": crossTokenizer({
    of: arm({ model: "bytes:helpful" }),
    longestMatch: true,
  }),
  "crossTokenizer of a contrast": crossTokenizer({
    of: contrast({ expert: "bytes:expert", amateur: "bytes:amateur" }),
    candidates: 9,
  }),
  "length in tokens": length({ target: 6, width: 3, min: 2, max: 40 }),
  "length in words": length({ target: 4, unit: "words", max: 30 }),
  "length in sentences": length({ min: 1, max: 9, unit: "sentences" }),
  "lexicon": lexicon({ words }),
  "lexicon, spread": lexicon({ words, spread: true, caseSensitive: true }),
  "lexicon of banned words": lexicon({ words: ["bad", "sad"] }),
  "logitBias": logitBias({ bias: { " good": 2, "42": "ban", "!": -1 } }),
  "pattern of a regular expression": pattern({ regex: "( (good|bad) [a-z]+[,.])+" }),
  "pattern of bytes": pattern({ regex: "[a-zé好😀 ]{8,30}" }),
  "pattern of JSON": pattern({ jsonSchema: person }),
  "policyMixture under the reverse KL": policyMixture({ of: policies }),
  "policyMixture of texts": policyMixture({ of: policies, divergence: "forwardKL" }),
  "policyMixture of tokens": policyMixture({
    of: policies,
    divergence: { alpha: 0.5 },
    over: "token",
  }),
  "policyMixture under Jensen-Shannon": policyMixture({
    of: policies,
    divergence: "jensenShannon",
  }),
  "prompted": prompted({ prefix: "happy " }),
  "prompted by another model": prompted({ prefix: "happy ", model: "./other", adapter: "./calm" }),
  "proxyTuning": proxyTuning({ tuned: "./small-chat", untuned: "./small" }),
  "repetition by counts": fresh,
  "repetition of n-grams": repetition({ noRepeatNgram: 2 }),
  "scorer of candidates": scorer({ score: (text) => -(text.length - new Set(text).size) }),
  "scorer that promises": scorer({
    batch: (texts) => Promise.resolve(texts.map((text) => text.length % 5)),
    candidates: 7,
    withPrompt: true,
  }),
  "scorer of texts": scorer({ score: (text) => text.length, grain: "text" }),
  "classifier": classifier({
    classify: (texts) =>
      texts.map((text) => text.includes("e") ? { calm: 0.8, loud: 0.2 } : { calm: 0.4, loud: 0.6 }),
    label: "calm",
  }),
  "trajectory, as ARGS": trajectory({ batch: (texts) => texts.map(({ length }) => length / 9) }),
  "trajectory, as RAD": trajectory({ score: (text) => text.length / 9, form: "rad" }),
  "sum": sum({ of: [mood, fresh, lexicon({ words })] }),
  "union": union({ of: [mood, constant({ value: 0 })] }),
  "intersection": intersection({ of: [mood, lexicon({ words })] }),
  "scale": scale({ of: sum({ of: [mood, fresh] }), by: -0.5 }),
  "scale to nothing": scale({ of: fresh, by: 0 }),
  "mask of plausible tokens": mask({ of: mood, where: { plausible: 0.1 } }),
  "mask by another reward": mask({
    of: mood,
    where: { of: fresh, atLeast: -0.3 },
    otherwise: "ban",
  }),
  "mask of the best": mask({ of: mood, where: { top: 20 } }),
  "normalize by softmax": normalize({ of: sum({ of: [mood, fresh] }), by: "logSoftmax" }),
  "normalize by deviation": normalize({ of: mood, by: "zScore" }),
  "valueHead": valueHead({ model: "values:" }),
  "valueHead of differences": valueHead({
    model: "values:good,bad",
    label: "bad",
    difference: true,
    candidates: 9,
  }),
  "valueHead in the form of FUDGE": valueHead({
    model: "values:good,bad",
    label: 0,
    form: "fudge",
    weights: "q8",
  }),
}
