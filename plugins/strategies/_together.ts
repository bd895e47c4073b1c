/**
 * Work on several sequences at once, so that their model runs share batches. All of it is waited for
 * before a failure is told: nothing goes on with sequences that the request has closed.
 */

/** What each has given, in order; fails as the first in order failed. */
export async function together<A>(work: readonly Promise<A>[]): Promise<A[]> {
  const settled = await Promise.allSettled(work)
  return settled.map((result) => {
    if (result.status === "rejected") throw result.reason
    return result.value
  })
}
