/**
 * The same pipelines and trainings for Effect programs: services, layers, scopes and streams.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { defineGraph, makePipeline, streamTokens, tableRuntime } from "genarm/effect"
 * import { assertEquals } from "@std/assert"
 *
 * const program = Effect.gen(function* () {
 *   const graph = yield* defineGraph({ base: "abc" })
 *   const pipeline = yield* makePipeline(graph)
 *   const tokens = yield* Stream.runCollect(streamTokens(pipeline, "a", { maxTokens: 2 }))
 *   return tokens.map(({ text }) => text).join("")
 * })
 * const layer = tableRuntime({ abc: { vocabulary: ["a", "b"], next: () => [0, 1] } })
 * assertEquals(await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(layer))), "bb")
 * ```
 *
 * @module
 */
import { builtins } from "../plugins/builtins.ts"
import { type EffectDoor, effectDoor } from "./decode/effects.ts"
import { type TrainEffect, trainEffect } from "./train/effects.ts"

const door = effectDoor(builtins)

/** The plugins that graphs may name: the built-in ones, unless a program provides others. */
export const Registry: EffectDoor["Registry"] = door.Registry

/** Checks a spec against the registry: see `defineGraph` of the main entry. */
export const defineGraph: EffectDoor["defineGraph"] = door.defineGraph

/** Opens a graph as a pipeline that lives as long as the scope. */
export const makePipeline: EffectDoor["makePipeline"] = door.makePipeline

/** Trains: see `train` of the main entry. Interruption aborts it before its next step. */
export const train: TrainEffect = trainEffect(door.Registry)

export { generate, score, streamTokens } from "./decode/effects.ts"
export type { EffectDoor } from "./decode/effects.ts"
export type { Pipeline } from "./decode/pipeline.ts"
export * from "./decode/types.ts"
export type { Engine, EngineCache, ForkOptions, Row } from "./engine/engine.ts"
export type { ModelRef } from "./files/model_ref.ts"
export type { OnProgress, Progress } from "./files/progress.ts"
export type { ChatMessage, Tokenizer } from "./files/tokenizer.ts"
export type { Graph, GraphSpec, RewardTerm, ScheduleNode, Weight } from "./graph/graph.ts"
export * from "./plugin/mod.ts"
export { cpu, cuda, webgpu } from "./runtime/onnx_runtime.ts"
export { Runtime, RuntimeKey } from "./runtime/runtime.ts"
export type { Companion, OpenModel, OpenRequest, RuntimeService } from "./runtime/runtime.ts"
export { type TableModel, tableRuntime, type TableValueModel } from "./runtime/table_runtime.ts"
export type { TrainEffect } from "./train/effects.ts"
export type { DataRecord } from "./train/export/training_record.ts"
export type { LearningRateSchedule } from "./train/learning_rate.ts"
export type { TrainingRun, TrainOptions } from "./train/train.ts"
export type { AdapterSpec, OptimizerSpec, TrainSpec } from "./train/train_spec.ts"
export type { TrainingProgress } from "./files/progress.ts"
export type { DataFiles, Example, TrainingData } from "./train/training_data.ts"
export type { EvaluationEntry, LogEntry, TrainingEntry } from "./train/training_log.ts"
