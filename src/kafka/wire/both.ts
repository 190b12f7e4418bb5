/**
 * Does both at the same time and settles when both have: nothing is under way afterwards. When one fails, `stop` aborts, so
 * that the other tries nothing more; throws what failed first.
 */
export async function both(
  first: () => Promise<void>,
  second: () => Promise<void>,
  stop: AbortController,
): Promise<void> {
  const half = async (run: () => Promise<void>): Promise<void> => {
    try {
      await run()
    } catch (error) {
      stop.abort(error)
    }
  }
  await Promise.all([half(first), half(second)])
  stop.signal.throwIfAborted()
}
