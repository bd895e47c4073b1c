/**
 * transformers.js writes: alone, or guided as a program can guide its `generate` from outside. A
 * logits processor cannot wait for a second model, so there are three ways:
 *
 * - `processor`: a logits processor that blocks until a worker has run the reward model;
 * - `forward`: `model.forward` is replaced by a function that runs both models in turn;
 * - `overlap`: the same, with the reward model in a worker that computes while the base does.
 *
 * All add raw scores: the models' normalisers change no choice.
 */
import {
  BaseStreamer,
  LogitsProcessor,
  LogitsProcessorList,
  type Tensor,
} from "@huggingface/transformers"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import {
  type DecodePeer,
  type DecodeTask,
  type TextTask,
  threadsOf,
  TokenClock,
} from "./_decode_task.ts"
import type { HfSettings, Spin } from "./_hf_settings.ts"
import { openRewardLink, type RewardLink } from "./_reward_link.ts"
import { servePeer } from "./_serve_peer.ts"
import {
  cachesOf,
  type HfInputs,
  type HfModel,
  hfVersion,
  idTensor,
  lastLogits,
  maskTensor,
  openHfModel,
} from "./_transformers_js.ts"

class ClockStreamer extends BaseStreamer {
  readonly clock: TokenClock
  #isPrompt = true

  constructor(clock: TokenClock) {
    super()
    this.clock = clock
  }

  override put(ids: bigint[][]): void {
    if (!this.#isPrompt) this.clock.token(Number(ids[0][0]))
    this.#isPrompt = false
  }

  override end(): void {}
}

/** Adds the scores of a worker's model, and keeps the program waiting meanwhile. */
class BlockingReward extends LogitsProcessor {
  readonly reward: RewardLink
  #begins = true

  constructor(reward: RewardLink) {
    super()
    this.reward = reward
  }

  override _call(ids: bigint[][], logits: Tensor): Tensor {
    const tokens = this.#begins ? ids[0] : ids[0].slice(-1)
    this.reward.ask(tokens.map(Number), this.#begins)
    this.#begins = false
    this.reward.wait()
    addTo(logits.data as Float32Array, this.reward.logits)
    return logits
  }
}

/** What guides one text: options of `generate`, or something to do to the model. */
type Guide = (model: HfModel) => Record<string, unknown>

async function open(task: DecodeTask): Promise<DecodePeer> {
  const { subfolder, way, spin } = task.settings
  const settings = {
    subfolder: String(subfolder),
    threads: task.threads,
    spin: spin as Spin,
  }
  const model = await openHfModel(task.base, settings)
  const { guide, close } = task.arm === undefined
    ? { guide: () => ({}), close: async () => {} }
    : await openGuide(task.arm, String(way), model, settings)
  return {
    about: [
      hfVersion(),
      subfolder,
      ...way ? [way] : [],
      threadsOf(task.threads),
      `spinning ${spin}`,
    ].join(", "),
    async write({ prompt, tokens }: TextTask) {
      const length = { max_new_tokens: tokens, min_new_tokens: tokens }
      const options = { ...guide(model), ...length, do_sample: false }
      const inputs = { input_ids: idTensor(prompt), attention_mask: maskTensor(prompt.length) }
      const clock = new TokenClock()
      await model.generate({ ...inputs, ...options, streamer: new ClockStreamer(clock) })
      return clock.text()
    },
    close,
  }
}

async function openGuide(
  arm: string,
  way: string,
  { forward }: HfModel,
  settings: HfSettings,
): Promise<{ guide: Guide; close: () => Promise<void> }> {
  if (way === "forward") {
    const reward = await openHfModel(arm, settings)
    const guide: Guide = (model) => {
      let caches: HfInputs | undefined
      model.forward = async (inputs) => {
        const outputs = await forward.call(model, inputs)
        const { input_ids, attention_mask } = inputs
        const scores = await reward.forward({ input_ids, attention_mask, past_key_values: caches })
        caches = cachesOf(scores)
        addTo(lastLogits(outputs), lastLogits(scores))
        return outputs
      }
      return {}
    }
    return { guide, close: async () => {} }
  }
  const config = JSON.parse(await readFile(join(arm, "config.json"), "utf8"))
  const sizes = { vocabulary: config.vocab_size, context: config.max_position_embeddings }
  const reward = await openRewardLink(arm, settings, sizes)
  const close = () => reward.close()
  if (way === "processor") {
    const guide: Guide = () => {
      const processors = new LogitsProcessorList()
      processors.push(new BlockingReward(reward))
      return { logits_processor: processors }
    }
    return { guide, close }
  }
  const guide: Guide = (model) => {
    let begins = true
    model.forward = async (inputs) => {
      const { data } = inputs.input_ids as { data: BigInt64Array }
      reward.ask(Array.from(data, Number), begins)
      begins = false
      const outputs = await forward.call(model, inputs)
      reward.wait()
      addTo(lastLogits(outputs), reward.logits)
      return outputs
    }
    return {}
  }
  return { guide, close }
}

function addTo(scores: Float32Array, more: Float32Array): void {
  for (let i = 0; i < scores.length; i++) scores[i] += more[i]
}

if (import.meta.main) await servePeer(open)
