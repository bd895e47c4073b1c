/** Brings single files of a model into its folder: from the disk, from a call under way, or the hub. */
import { throwIfAborted } from "../errors.ts"
import { download, pathOf, type Patience } from "./_hub_download.ts"
import { remoteForbidden } from "./_hub_errors.ts"
import { exists } from "./_hub_incomplete.ts"
import type { HubPlace } from "./_hub_place.ts"
import { type Report, share } from "./_hub_share.ts"
import type { OnProgress } from "./progress.ts"

/** Answers whether the file is there now; `false` when the repository does not have it. */
export type Fetch = (file: string) => Promise<boolean>

/** Makes the `Fetch` of one call. */
export function fetcher(
  place: HubPlace,
  { signal, onProgress }: { readonly signal?: AbortSignal; readonly onProgress?: OnProgress },
  patience?: Patience,
): Fetch {
  const contact = { reached: false }
  return async (file) => {
    throwIfAborted(signal)
    const path = pathOf(place.folder, file)
    if (await exists(path)) return true
    if (!place.remote) throw remoteForbidden(place, file)
    return await share(
      path,
      async (signal, report) => {
        const meter = paced(report)
        const found = await download(
          { place, file, signal, contact, report: meter.moved, ...(patience && { patience }) },
        )
        if (found) meter.end()
        return found
      },
      signal,
      (loaded, total) =>
        onProgress?.({
          stage: "download",
          model: place.model,
          file,
          loaded,
          ...(total === undefined ? {} : { total }),
        }),
    )
  }
}

/** Passes on the first report, the last one, and about ten a second in between. */
function paced(report: Report): { readonly moved: Report; readonly end: () => void } {
  let next = 0
  let last: Parameters<Report> = [0, undefined]
  return {
    moved: (loaded, total) => {
      last = [loaded, total]
      const now = performance.now()
      if (now < next) return
      next = now + 100
      report(loaded, total)
    },
    end: () => report(last[0], last[1] ?? last[0]),
  }
}
