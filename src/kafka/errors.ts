import { MillraceError } from '../errors.ts'
import type { ErrorCode } from '../errors.ts'

/** What kafkajs puts on its errors. */
interface KafkajsError {
  readonly name?: string
  readonly type?: string
  readonly code?: number | string
  readonly message?: string
  readonly cause?: unknown
  readonly errors?: readonly unknown[]
}

const unauthorised = new Set([
  'TOPIC_AUTHORIZATION_FAILED',
  'GROUP_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
  'SASL_AUTHENTICATION_FAILED',
  'UNSUPPORTED_SASL_MECHANISM',
])

/** The error and everything it was caused by, outermost first; retriers of kafkajs wrap what they give up on. */
function chain(error: unknown): readonly KafkajsError[] {
  const found = new Set<KafkajsError>()
  for (let next = error; typeof next === 'object' && next !== null && !found.has(next);) {
    found.add(next)
    const { cause, errors }: KafkajsError = next
    next = cause ?? errors?.[0]
  }
  return [...found]
}

/** Whether the broker answered with this error (and did not merely fail to answer). */
export function isProtocolError(error: unknown, ...types: readonly string[]): boolean {
  return chain(error).some(({ type }) => type !== undefined && types.includes(type))
}

const awayNames = new Set([
  'KafkaJSConnectionError',
  'KafkaJSConnectionClosedError',
  'KafkaJSRequestTimeoutError',
  'KafkaJSBrokerNotFound',
  'KafkaJSLockTimeout',
  'DeadlineExceeded',
])

/** What kafkajs says of a connection that broke while credentials were exchanged; it keeps only the text. */
const brokenConnection =
  /Closed connection|Connection (error|timeout)|Not connected|timed out|closed by the server/

/** Whether a broker cannot be reached, or did not answer in time: others may. */
export function isAway(error: unknown): boolean {
  return chain(error).some(
    (one) => one.name !== undefined && (awayNames.has(one.name) || (isSasl(one) && isBroken(one))),
  )
}

/** Whether the credentials were refused, which waiting does not mend. */
export function isRefused(error: unknown): boolean {
  return chain(error).some((one) => isSasl(one) && !isBroken(one))
}

function isSasl({ name }: KafkajsError): boolean {
  return name === 'KafkaJSSASLAuthenticationError'
}

function isBroken({ message = '' }: KafkajsError): boolean {
  return brokenConnection.test(message)
}

/** PRODUCER_FENCED; newer than the error table of kafkajs, which calls it unknown. */
const producerFenced = 90

export function isFenced(error: unknown): boolean {
  return chain(error).some(
    ({ type, code, message }) =>
      type === 'INVALID_PRODUCER_EPOCH' ||
      type === 'PRODUCER_FENCED' ||
      code === producerFenced ||
      (type === 'KAFKAJS_UNKNOWN_ERROR_CODE' && message === `Unknown error code ${producerFenced}`),
  )
}

/** The error of this program for an error of kafkajs. `what` says what was tried, and where. */
export function kafkaError(error: unknown, what: string): MillraceError {
  if (error instanceof MillraceError) return error
  return new MillraceError(codeOf(error), `${what}: ${textOf(error)}`, { cause: error })
}

function codeOf(error: unknown): ErrorCode {
  if (isRefused(error) || isProtocolError(error, ...unauthorised)) {
    return 'KAFKA_UNAUTHORISED'
  }
  if (isProtocolError(error, 'UNKNOWN_TOPIC_OR_PARTITION')) return 'KAFKA_TOPIC_MISSING'
  return 'KAFKA_UNREACHABLE'
}

export function textOf(error: unknown): string {
  const innermost = chain(error).at(-1)
  return innermost?.message || innermost?.type || String(error)
}
