/** Does everything that ends something, whatever fails on the way; then fails as the first that did. */
export function closeAll(closes: readonly (() => void)[]): void {
  const errors: unknown[] = []
  for (const close of closes) {
    try {
      close()
    } catch (error) {
      errors.push(error)
    }
  }
  if (errors.length > 0) throw errors[0]
}

/** Ends what fails anyway: an error on the way adds nothing to the reason for which it ends. */
export function closeQuietly(...closes: readonly (() => void)[]): void {
  try {
    closeAll(closes)
  } catch {
    // The caller throws that reason.
  }
}
