/** How much two texts or lists have in common from the first place on. */
export function commonLength<A>(a: ArrayLike<A>, b: ArrayLike<A>): number {
  const most = Math.min(a.length, b.length)
  let length = 0
  while (length < most && a[length] === b[length]) length++
  return length
}
