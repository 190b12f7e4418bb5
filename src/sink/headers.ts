import { digestOf } from '../record/digest.ts'
import type { Reject } from '../record/event.ts'
import type { ModelIdentity } from '../record/prediction.ts'
import { headerSize, headersOf, headerValues, nameText } from '../record/headers.ts'
import type { Headers, HeaderValue, RawRecord } from '../record/raw-record.ts'

/** Model name, version and digest, on every prediction and alert. */
export function modelHeaders(model: ModelIdentity): Headers {
  const headers = headersOf({
    'millrace.model.name': Buffer.from(model.name),
    'millrace.model.version': Buffer.from(model.version),
    'millrace.model.digest': Buffer.from(model.digest),
  })
  return Object.freeze(headers)
}

/**
 * `constant` and, when the input carries one, its `traceparent`, so that a trace goes on behind this service. Anything
 * else under that name is left out, as W3C Trace Context asks: whoever writes the input does not write into outputs.
 */
export function outputHeaders(constant: Headers, raw: RawRecord): Headers {
  const traceparent = headerValues(raw.headers, 'traceparent')[0]
  return isTraceparent(traceparent) ? [...constant, ['traceparent', traceparent]] : constant
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
export function deadLetterHeaders(reject: Reject, facts: DeadLetterFacts): Headers {
  return [...originalHeaders(reject.raw.headers), ...whyHeaders(reject, facts)]
}

/** For a dead letter that cannot hold its record: where it was, why it is here, how large it is and its digest. */
export function stubHeaders(reject: Reject, facts: DeadLetterFacts): Headers {
  const { key, value, unreadable } = reject.raw
  const what =
    unreadable === undefined
      ? {
          [contentHeader]: 'stub',
          'millrace.dlq.size': String(
            (key?.length ?? 0) + (value?.length ?? 0) + headerSize(reject.raw).bytes,
          ),
          'millrace.dlq.digest': digestOf(value ?? ''),
        }
      : {
          [contentHeader]: 'pointer',
          'millrace.dlq.last-offset': String(unreadable.lastOffset),
          'millrace.dlq.size': String(unreadable.bytes),
          'millrace.dlq.digest': unreadable.digest,
        }
  return [...whyHeaders(reject, facts), ...headersOf(what)]
}

/** Of dead letters that do not hold their record. */
export const contentHeader = 'millrace.dlq.content'

function whyHeaders({ raw, ...reject }: Reject, facts: DeadLetterFacts): Headers {
  const { model } = facts
  return headersOf({
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
  })
}

/** Headers that a dead letter has beside those of the record. */
const deadLetterHeader = /^(__dlq\.errors|millrace\.dlq)\./

/** Headers of a record, without what a dead letter of it says. */
export function originalHeaders(headers: Headers): Headers {
  return headers.filter(([name]) => !deadLetterHeader.test(nameText(name)))
}
