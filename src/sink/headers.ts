import type { Reject } from '../record/event.ts'
import type { ModelIdentity } from '../record/prediction.ts'
import { headerEntries, headerValues, producible } from '../record/headers.ts'
import type { Headers, HeaderValue, RawRecord } from '../record/raw-record.ts'

/** Model name, version and digest, on every prediction and alert. */
export function modelHeaders(model: ModelIdentity): Headers {
  return Object.freeze({
    'millrace.model.name': Buffer.from(model.name),
    'millrace.model.version': Buffer.from(model.version),
    'millrace.model.digest': Buffer.from(model.digest),
  })
}

/**
 * `constant` and, when the input carries one, its `traceparent`, so that a trace goes on behind this service. Anything
 * else under that name is left out, as W3C Trace Context asks: whoever writes the input does not write into outputs.
 */
export function outputHeaders(constant: Headers, raw: RawRecord): Headers {
  const traceparent = headerValues(raw.headers, 'traceparent')[0]
  return isTraceparent(traceparent) ? { ...constant, traceparent } : constant
}

const traceparentBytes = 55
/** Version, trace id, parent id, flags; version ff and ids of zeros are invalid. */
const traceparentForm = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

function isTraceparent(value: HeaderValue | null | undefined): value is HeaderValue {
  return value?.length === traceparentBytes && traceparentForm.test(String(value))
}

export interface DeadLetterFacts {
  readonly group: string
  readonly serviceVersion: string
  readonly model: ModelIdentity
  /** Wall clock, epoch ms. */
  readonly failedAtMs: number
  readonly attempts: number
}

/**
 * The record's own headers, then where it was and why it is here. What an earlier dead letter said is left out: a
 * replayed record that fails again tells its last failure.
 */
export function deadLetterHeaders({ raw, ...reject }: Reject, facts: DeadLetterFacts): Headers {
  const { model } = facts
  return {
    ...ownHeaders(raw.headers),
    '__dlq.errors.topic': raw.topic,
    '__dlq.errors.partition': String(raw.partition),
    '__dlq.errors.offset': String(raw.offset),
    '__dlq.errors.group': facts.group,
    '__dlq.errors.delivery.count': String(facts.attempts),
    '__dlq.errors.message': reject.message,
    'millrace.dlq.reason': reject.reason,
    'millrace.dlq.stage': reject.stage,
    'millrace.dlq.failed-at': new Date(facts.failedAtMs).toISOString(),
    'millrace.dlq.attempts': String(facts.attempts),
    ...(reject.schemaId === undefined ? null : { 'millrace.dlq.schema-id': String(reject.schemaId) }),
    'millrace.dlq.model': `${model.name}/${model.version}@${model.digest}`,
    'millrace.dlq.service-version': facts.serviceVersion,
  }
}

/** Headers that a dead letter has beside those of the record. */
export const deadLetterHeader = /^(__dlq\.errors|millrace\.dlq)\./

function ownHeaders(headers: Headers): Headers {
  return Object.fromEntries(
    headerEntries(headers)
      .filter(([name]) => !deadLetterHeader.test(name))
      .map(([name, values]) => [name, producible(values)]),
  )
}
