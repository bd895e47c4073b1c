/** llama.cpp writes, alone: it has no place for a second model. */
import {
  type DecodePeer,
  type DecodeTask,
  type TextTask,
  threadsOf,
  TokenClock,
} from "./_decode_task.ts"
import { loadNodeLlamaCpp, version } from "./_node_llama_cpp.ts"
import { servePeer } from "./_serve_peer.ts"

async function open({ settings, threads }: DecodeTask): Promise<DecodePeer> {
  const { getLlama, LlamaLogLevel } = await loadNodeLlamaCpp()
  const llama = await getLlama({
    gpu: false,
    build: "never",
    logLevel: LlamaLogLevel.disabled,
    maxThreads: threads,
  })
  const model = await llama.loadModel({ modelPath: settings.file })
  const context = await model.createContext({ contextSize: 1024, batchSize: 512, threads })
  const sequence = context.getSequence()
  return {
    about: `node-llama-cpp ${version} (llama.cpp ${llama.llamaCppRelease.release}), ` +
      `${settings.format}, ${threadsOf(context.currentThreads)}`,
    async write({ prompt, tokens }: TextTask) {
      await sequence.clearHistory()
      const clock = new TokenClock()
      for await (const id of sequence.evaluate([...prompt], { temperature: 0 })) {
        clock.token(id)
        if (clock.count === tokens) break
      }
      return clock.text()
    },
    close: () => llama.dispose(),
  }
}

if (import.meta.main) await servePeer(open)
