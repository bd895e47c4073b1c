import { arm, contrast, defineGraph, defineReward, defineSampler, defineSchedule, GenArmError, greedy, linear, live, logitBias, openPipeline, phases, prompted, sampling } from "genarm"
import { Schema } from "effect"
import { open, watch, always, openTrained } from "./decode/_pipelines.ts"
const tell = async (name: string, f: () => unknown) => {
  try { const r = await f(); console.log(name, "=>", typeof r === "string" ? r : JSON.stringify(r)) }
  catch (e) { console.log(name, "!!", (e as Error).constructor.name, JSON.stringify((e as GenArmError).reason), (e as Error).message) }
}
const o = { temperature: 0.5 }
const n = sampling(o)
await tell("same options object", () => n.options === o)
await tell("frozen options", () => Object.isFrozen(n.options))
const nested = phases({ phases: [{ weight: 1 }] })
await tell("nested frozen", () => Object.isFrozen((nested.options as any).phases))
for (const spec of [{}, { base: "" }, { base: "x", extra: 1 }, { base: { model: "x", wights: "q4" } }, { base: { model: "x", weights: "q3" } }, {base: 5}, null, undefined, "x", [], { base: "x", rewards: [] }, { base: "x", rewards: { a: {} } }, { base: "x", rewards: { a: { reward: arm({ model: "m" }) } } }, { base: "x", rewards: { a: { reward: arm({ model: "m" }), weight: "1" } } }, { base: "x", rewards: { a: { reward: arm({ model: "m" }), weight: NaN } } }, { base: "x", rewards: { a: { reward: arm, weight: 1 } } }, { base: "x", rewards: { a: { reward: sampling(), weight: 1 } } }, { base: "x", rewards: { a: { reward: { plugin: "armm", options: { model: "m" } }, weight: 1 } } }, { base: "x", rewards: { a: { reward: { plugin: "arm", options: {} }, weight: 1 } } }, { base: "x", rewards: { a: { reward: { plugin: "arm", options: { model: "" , x: 1} }, weight: 1 } } }, { base: "x", rewards: { a: { reward: { plugin: "arm", options: { model: "m" }, extra: 1 }, weight: 1 } } }, { base: "x", rewards: { "1a": { reward: arm({ model: "m" }), weight: 1 } } }, { base: "x", rewards: { "base": { reward: arm({ model: "m" }), weight: 1 } } }, { base: "x", stop: [""] }, { base: "x", stop: "a" }, { base: "x", sampler: greedy }, { base: "x", sampler: "greedy" }, { base: "x", sampler: { plugin: "sampling", options: { topP: 0 } } }, { base: { model: "x", template: "hello" } }, { base: "x", rewards: JSON.parse('{"__proto__": {"weight": 1}}') }, {base:"x", sampler: {plugin: "constructor"}}, {base:"x", sampler: null}]) {
  await tell(JSON.stringify(spec)?.slice(0, 110), () => String(defineGraph(spec as never)))
}
for (const w of [1e21, -0, 0.1 + 0.2, -2, 1e-7, linear({ from: 1, to: -1, tokens: 3 }), live(2), phases({ phases: [{ weight: 1, tokens: 2 }, { weight: 0 }] })]) {
  await tell("formula", () => String(defineGraph({ base: "x", rewards: { a: { reward: arm({ model: "m" }), weight: w } } })))
}
await tell("arm()", () => (arm as any)())
await tell("temp 0", () => sampling({ temperature: 0 }))
await tell("temp -1", () => sampling({ temperature: -1, topK: 0, topP: 1.1 }))
await tell("unknown", () => sampling({ temp: 1 } as never))
await tell("undefined option", () => sampling({ temperature: undefined } as never))
await tell("string options", () => sampling("x" as never))
await tell("live nan", () => live(NaN))
const w = watch({ base: { next: always(0.5, 0.3, 0.2, 0, 0, 0, 0, 0, 0, 0), bos: 9 } })
{
  await using p = await open(w, { rewards: { constructor: { reward: logitBias({ bias: { a: 1 } }), weight: 1 } as any } })
  await tell("constructor", () => p.generate("", { maxTokens: 2, seed: 1 }))
  await tell("opts unknown", () => p.generate("", { maxTokens: 2, seeed: 1 } as never))
  await tell("maxTokens 0", () => p.generate("", { maxTokens: 0 } as never))
  await tell("seed -1", () => p.generate("", { seed: -1 } as never))
  await tell("weights wrong", () => p.generate("", { weights: { constructor: "x" } } as never))
  await tell("weights wrong", () => p.generate("", { weights: { constructor: { plugin: "linear", options: {} } } } as never))
  await tell("weights NaN", () => p.generate("", { weights: { constructor: NaN } } as never))
  await tell("weights name", () => p.generate("", { weights: { c: 1 } } as never))
  await tell("null options", () => p.generate("", null as never))
  await tell("score undefined", () => p.score("", undefined as never))
  await tell("score mixed", () => p.score("", ["a"] as never))
  await tell("generateAll text", () => p.generateAll("abc" as never))
  await tell("prompt number", () => p.generate(5 as never))
  await tell("prompt undefined", () => p.generate(undefined as never))
  await tell("prompt bigint", () => p.generate(5n as never))
  await tell("prompt [null]", () => p.generate([null] as never))
  await tell("prompt [-1]", () => p.generate([-1]))
  await tell("prompt [1.5]", () => p.generate([1.5]))
  await tell("prompt [10]", () => p.generate([10]))
}
await tell("plain spec", () => openPipeline({ base: "x" } as never, { runtime: w.runtime }))
await tell("unknown open option", () => openPipeline(defineGraph({ base: "base" }), { runtime: w.runtime, foo: 1 } as never).then(() => "ok"))
