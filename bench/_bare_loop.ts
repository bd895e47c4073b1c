/** The baseline of guided generation: the engine calls that it makes, and nothing else. */
import type { Engine } from "../src/engine/engine.ts"

/**
 * Runs the prompts, one row each, and then `tokens - 1` ids that are fixed beforehand, one at a time
 * in all rows. `onToken` hears after each call, as a guided text tells each token.
 */
export async function bareLoop(
  engine: Engine,
  prompts: readonly (readonly number[])[],
  tokens: number,
  onToken: () => void = () => {},
): Promise<void> {
  const caches = prompts.map(() => engine.openCache())
  try {
    await engine.forward(caches.map((cache, i) => ({ cache, tokens: prompts[i], want: "last" })))
    onToken()
    for (let token = 1; token < tokens; token++) {
      const next = [(token * 7919) % engine.vocabularySize]
      await engine.forward(caches.map((cache) => ({ cache, tokens: next, want: "last" })))
      onToken()
    }
  } finally {
    for (const cache of caches) cache.close()
  }
}
