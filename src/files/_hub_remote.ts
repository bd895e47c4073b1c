/** What the headers of a response say about a file of the hub. */

/** What the hub announces about a file. */
export interface RemoteFile {
  /** Tells this version of the file from any other; absent when the server gives nothing. */
  readonly identity: string | undefined
  /** For the header of that name: the strong etag of the server that sends the bytes itself. */
  readonly ifRange: string | undefined
  readonly size: number | undefined
  readonly digest: { readonly kind: "sha256" | "git"; readonly hex: string } | undefined
}

/**
 * Reads the headers of the last response, and of the redirects before it where those said more
 * (`linked...`); `own` tells that the hub itself answers and not a CDN.
 */
export function describe(
  response: Response,
  linkedEtag: string | null,
  linkedSize: number | undefined,
  own: boolean,
): RemoteFile {
  const raw = linkedEtag ?? response.headers.get("etag")
  const identity = raw?.replace(/^W\//, "").replace(/^"|"$/g, "") || undefined
  const hex = identity?.toLowerCase() ?? ""
  // The etag of a CDN may look like a hash of the content and be one of something else, so only
  // the hub itself is believed.
  const kind = linkedEtag === null && !own
    ? undefined
    : /^[0-9a-f]{64}$/.test(hex)
    ? "sha256"
    : /^[0-9a-f]{40}$/.test(hex)
    ? "git"
    : undefined
  return {
    identity: identity ?? response.headers.get("last-modified") ?? undefined,
    ifRange: linkedEtag === null && raw?.startsWith('"') ? raw : undefined,
    size: linkedSize ?? totalSize(response),
    digest: kind === undefined ? undefined : { kind, hex },
  }
}

/** The size of the whole file as this response tells it. */
export function totalSize(response: Response): number | undefined {
  if (response.status === 206 || response.status === 416) {
    return count(response.headers.get("content-range")?.split("/")[1] ?? null)
  }
  const encoding = response.headers.get("content-encoding") ?? "identity"
  return response.status === 200 && encoding === "identity"
    ? count(response.headers.get("content-length"))
    : undefined
}

/** A header that is a number of bytes. */
export function count(header: string | null): number | undefined {
  return header !== null && /^\d+$/.test(header.trim()) ? Number(header) : undefined
}
