/**
 * llama.cpp through node-llama-cpp, with the binary that its packages bring: installed into a folder
 * of its own, so that it is no dependency of the project, and the part of its surface that the bench
 * calls.
 */
import { createRequire } from "node:module"
import process from "node:process"
import { pathToFileURL } from "node:url"
import { installPackages } from "./_install_packages.ts"

export const version = "3.22.1"

/** What the bench uses of `node-llama-cpp`. */
export interface NodeLlamaCpp {
  getLlama(options: object): Promise<Llama>
  LlamaLogLevel: { disabled: string }
}

interface Llama {
  readonly llamaCppRelease: { readonly release: string }
  loadModel(options: object): Promise<LlamaModel>
  dispose(): Promise<void>
}

interface LlamaModel {
  createContext(options: object): Promise<LlamaContext>
}

interface LlamaContext {
  readonly currentThreads: number
  getSequence(): LlamaSequence
}

/** One text of a context. */
export interface LlamaSequence {
  clearHistory(): Promise<void>
  evaluate(tokens: number[], options: object): AsyncGenerator<number>
}

/** Installs it where that has not been done, and loads it; throws with the reason if it cannot. */
export async function loadNodeLlamaCpp(): Promise<NodeLlamaCpp> {
  const name = `node-llama-cpp@${version}`
  const { platform, arch } = process
  // On Linux the optional packages hold half a gigabyte of binaries for GPUs.
  const [packages, options] = platform === "linux"
    ? [[name, `@node-llama-cpp/linux-${arch}@${version}`], ["--omit=optional"]]
    : [[name], []]
  const folder = await installPackages(`node-llama-cpp-${version}`, packages, options)
  const require = createRequire(`${folder}/package.json`)
  return await import(pathToFileURL(require.resolve("node-llama-cpp")).href)
}
