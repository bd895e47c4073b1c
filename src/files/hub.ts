/** Models of the Hugging Face hub, fetched into the file cache of `@huggingface/transformers`. */
import { throwIfAborted } from "../errors.ts"
import { pathOf } from "./_hub_download.ts"
import { isHubOutage, lacks } from "./_hub_errors.ts"
import { type Fetch, fetcher } from "./_hub_fetch.ts"
import * as layout from "./_hub_folder.ts"
import { exists } from "./_hub_incomplete.ts"
import { type HubPlace, hubPlace } from "./_hub_place.ts"
import type { HubReference } from "./_hub_reference.ts"
import type { OnProgress } from "./progress.ts"

export { type HubReference, parseHubReference } from "./_hub_reference.ts"

/** How a model of the hub is fetched. */
export interface FetchOptions {
  /** How the weights are to be run; decides which ready export is taken where there is no source. */
  readonly weights: "f32" | "q8" | "q4"
  /** Aborts the download; what has arrived is kept, and the next call goes on from there. */
  readonly signal?: AbortSignal
  /** Called at the start and the end of every file, and about ten times a second in between. */
  readonly onProgress?: OnProgress
}

/**
 * The folder of the model on this machine, complete. What the cache already holds is not fetched
 * again and needs no network; everything else is fetched from the hub, verified against the size
 * and the hash which the hub announces, and resumed when a connection is cut. The settings of
 * `@huggingface/transformers` apply: `env.cacheDir`, `env.remoteHost`, `env.remotePathTemplate`,
 * `env.allowRemoteModels`, `env.localModelPath`, `env.fetch` and the variable `HF_TOKEN`.
 *
 * Rejects with a `GenArmError`: `ModelNotFound` for a repository or a file that is not there or may
 * not be read, `HubFailed` when the hub cannot be reached or sends something else than announced or
 * the disk refuses, `InvalidModelFile` for an index that cannot be used, `Aborted`.
 *
 * ```text
 * const folder = await fetchModelFolder(parseHubReference("hub:org/name"), { weights: "q8" })
 * ```
 */
export async function fetchModelFolder(
  reference: HubReference,
  options: FetchOptions,
): Promise<string> {
  const { weights, signal } = options
  throwIfAborted(signal)
  const place = await hubPlace(reference)
  if (await layout.holdsModel(place.folder, weights)) {
    await completeOptional(place, options)
    return place.folder
  }
  if (place.local !== undefined && await layout.holdsModel(place.local, weights)) return place.local
  const fetch = fetcher(place, options)
  for (const file of layout.REQUIRED) {
    if (!await fetch(file)) throw lacks(place, [file], file)
  }
  for (const file of await layout.unknownOptional(place.folder)) await fetch(file)
  await layout.rememberAbsent(place.folder)
  // The weights come last: a folder that has them has all the rest.
  await fetchWeights(place, fetch, weights)
  return place.folder
}

/** The folder of the model if it is complete on this machine; nothing is asked of the hub. */
export async function cachedModelFolder(
  reference: HubReference,
  weights: layout.HubWeights,
): Promise<string | undefined> {
  const { folder, local } = await hubPlace(reference)
  if (await layout.holdsModel(folder, weights)) return folder
  return local !== undefined && await layout.holdsModel(local, weights) ? local : undefined
}

/** The folder of the adapter if it is complete on this machine; nothing is asked of the hub. */
export async function cachedAdapterFolder(reference: HubReference): Promise<string | undefined> {
  const { folder, local } = await hubPlace(reference)
  for (const place of [folder, local]) {
    if (place !== undefined && await layout.holdsAdapter(place)) return place
  }
  return undefined
}

/** The folder of a low-rank adapter on this machine, complete; as `fetchModelFolder` in all else. */
export async function fetchAdapterFolder(
  reference: HubReference,
  options: Omit<FetchOptions, "weights">,
): Promise<string> {
  throwIfAborted(options.signal)
  const cached = await cachedAdapterFolder(reference)
  if (cached !== undefined) return cached
  const place = await hubPlace(reference)
  const fetch = fetcher(place, options)
  for (const file of layout.ADAPTER) {
    if (!await fetch(file)) throw lacks(place, [file], file)
  }
  return place.folder
}

async function fetchWeights(
  place: HubPlace,
  fetch: Fetch,
  weights: layout.HubWeights,
): Promise<void> {
  const { SINGLE, INDEX, ONNX } = layout
  const index = pathOf(place.folder, INDEX)
  if (!await exists(index) && await fetch(SINGLE)) return
  if (await fetch(INDEX)) {
    for (const shard of await layout.shardNames(index)) {
      if (!await fetch(shard)) throw lacks(place, [shard], `${shard}, which ${INDEX} names`)
    }
    return
  }
  for (const file of ONNX[weights]) {
    // What a large export keeps beside itself comes first, for the same reason.
    for (let part = 0; part < 100; part++) {
      if (!await fetch(`${file}_data${part === 0 ? "" : `_${part}`}`)) break
    }
    if (await fetch(file)) return
  }
  throw lacks(place, [SINGLE, INDEX, ...ONNX[weights]], `weights to run as ${weights}`)
}

/**
 * A folder filled by another program may lack optional files, e.g. the chat template. It can be
 * opened without them, so a hub that does not answer is no reason to fail.
 */
async function completeOptional(place: HubPlace, options: FetchOptions): Promise<void> {
  const unknown = await layout.unknownOptional(place.folder)
  if (unknown.length === 0 || !place.remote) return
  const fetch = fetcher(place, options, { delaysMs: [], silenceMs: 5_000 })
  try {
    for (const file of unknown) await fetch(file)
    await layout.rememberAbsent(place.folder)
  } catch (error) {
    if (!isHubOutage(error)) throw error
  }
}
