/** Errors of kafkajs that say that a broker cannot be reached, or did not answer. */
const awayNames = new Set([
  'KafkaJSConnectionError',
  'KafkaJSConnectionClosedError',
  'KafkaJSRequestTimeoutError',
  'KafkaJSBrokerNotFound',
  'KafkaJSLockTimeout',
  'DeadlineExceeded',
])

const causesMax = 8

/** The error and what caused it: kafkajs wraps what it gave up trying. */
export function* causes(error: unknown): Generator<{ readonly name?: string; readonly type?: string }> {
  let one = error
  for (let i = 0; i < causesMax && typeof one === 'object' && one !== null; i++) {
    yield one
    one = (one as { cause?: unknown }).cause
  }
}

/** A broker cannot be reached, or did not answer: others may. */
export function isAway(error: unknown): boolean {
  return [...causes(error)].some(({ name }) => awayNames.has(name ?? ''))
}

/** A broker answered with one of these errors. */
export function isOfType(error: unknown, types: ReadonlySet<string>): boolean {
  return [...causes(error)].some(({ type }) => types.has(type ?? ''))
}

export function textOfLoss(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
