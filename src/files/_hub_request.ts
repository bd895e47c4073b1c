/** Requests to the hub: redirects, and the token. */
import process from "node:process"
import { messageOf } from "../errors.ts"
import { denied, Interrupted, throwIfStopped } from "./_hub_errors.ts"
import type { HubPlace } from "./_hub_place.ts"
import { count, describe, type RemoteFile } from "./_hub_remote.ts"

/** The last response of a chain of redirects, and what all of them said. */
export interface Answer {
  readonly response: Response
  readonly remote: RemoteFile
}

const MAX_REDIRECTS = 10

/** Asks about a file without its content; `undefined` when the repository does not have it. */
export async function inspect(
  place: HubPlace,
  file: string,
  signal: AbortSignal,
): Promise<RemoteFile | undefined> {
  const url = place.url(file)
  let answer = await request(place, "HEAD", url, {}, signal)
  // A plain file server may know no HEAD.
  if (answer.response.status === 405 || answer.response.status === 501) {
    answer = await request(place, "GET", url, {}, signal)
    await answer.response.body?.cancel().catch(() => {})
  }
  const { response, remote } = answer
  const { status } = response
  // A redirect is an answer too when it has said everything (see `request`).
  if (status < 400) return remote
  const code = response.headers.get("x-error-code") ?? ""
  if (status === 401 || status === 403 || /RepoNotFound|RevisionNotFound/.test(code)) {
    throw denied(place, url, response)
  }
  if (status === 404) return undefined
  throw failedStatus(url, response)
}

/** A status that leaves hope for another try. */
export function failedStatus(url: string, response: Response): Interrupted {
  const seconds = Number(response.headers.get("retry-after") ?? 0)
  return new Interrupted(`${url} answers ${response.status} ${response.statusText}`.trimEnd(), {
    retryAfterMs: Number.isFinite(seconds) ? seconds * 1000 : 0,
  })
}

/**
 * One request with its redirects followed by hand: the size and the hash of a large file are on
 * the redirect to where its bytes are, and the token must not travel there.
 */
export async function request(
  place: HubPlace,
  method: "HEAD" | "GET",
  url: string,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<Answer> {
  let current = url
  let etag: string | null = null
  let size: number | undefined
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const response = await send(place, method, current, headers, signal)
    etag ??= response.headers.get("x-linked-etag")
    size ??= count(response.headers.get("x-linked-size"))
    const location = response.headers.get("location")
    const redirected = response.status >= 300 && response.status < 400 && location !== null
    // A signed address of a CDN often refuses HEAD; all that matters has been said before it.
    if (!redirected || (method === "HEAD" && etag !== null)) {
      const own = new URL(current).origin === new URL(url).origin ||
        response.headers.has("x-repo-commit")
      return { response, remote: describe(response, etag, size, own) }
    }
    await response.body?.cancel().catch(() => {})
    const next = URL.canParse(location, current) ? new URL(location, current) : undefined
    if (next?.protocol !== "https:" && next?.protocol !== "http:") {
      throw new Interrupted(`${current} redirects to ${location}, which is not followed`)
    }
    current = next.href
  }
  throw new Interrupted(`${url} redirects more than ${MAX_REDIRECTS} times`)
}

async function send(
  place: HubPlace,
  method: string,
  url: string,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<Response> {
  try {
    return await place.fetch(url, {
      method,
      redirect: "manual",
      signal,
      headers: {
        ...headers,
        // A compressed answer would have another length, and ranges of something else.
        "accept-encoding": "identity",
        "user-agent": place.userAgent,
        ...authorization(url),
      },
    })
  } catch (error) {
    throwIfStopped(signal)
    throw new Interrupted(messageOf(error), { cause: error })
  }
}

/** The token goes to the hosts the library sends it to, and only where nobody can read along. */
function authorization(url: string): Record<string, string> {
  const { protocol, hostname } = new URL(url)
  if (protocol !== "https:" || !["huggingface.co", "hf.co"].includes(hostname)) return {}
  try {
    const token = process.env.HF_TOKEN ?? process.env.HF_ACCESS_TOKEN
    return token ? { authorization: `Bearer ${token}` } : {}
  } catch {
    // Without the permission to read the environment there is no token, as without the variable.
    return {}
  }
}
