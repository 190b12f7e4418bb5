/** A request that waits for scores, as far as sharing a batch is concerned. */
export interface Waiting {
  /** Rows not yet in any batch. */
  readonly rowsLeft: number
}

/** `rows` rows of a request. */
export interface Share<T extends Waiting> {
  readonly request: T
  readonly rows: number
}

/**
 * Divides a batch of `size` rows among the waiting requests, in order: each gets an equal share, and what small ones leave
 * goes to the others. So a partition with a long slice does not hold up the others, and small slices travel together.
 */
export function shareBatch<T extends Waiting>(waiting: readonly T[], size: number): Share<T>[] {
  const given = new Map<T, number>()
  let left = size
  let hungry = waiting.slice(0, size)
  while (left > 0 && hungry.length > 0) {
    const quantum = Math.max(1, Math.floor(left / hungry.length))
    for (const request of hungry) {
      const already = given.get(request) ?? 0
      const rows = Math.min(quantum, left, request.rowsLeft - already)
      given.set(request, already + rows)
      left -= rows
    }
    hungry = hungry.filter((request) => given.get(request)! < request.rowsLeft)
  }
  return [...given].flatMap(([request, rows]) => (rows > 0 ? [{ request, rows }] : []))
}
