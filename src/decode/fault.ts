import type { Reject, RejectReason } from '../record/event.ts'
import { fieldAt, missingStep } from '../record/field-path.ts'
import type { RawRecord } from '../record/raw-record.ts'
import { steering } from '../telemetry/visible.ts'

/** Why a record is refused, before it is tied to the record. */
export class Fault {
  readonly reason: RejectReason
  readonly message: string
  constructor(reason: RejectReason, message: string) {
    this.reason = reason
    this.message = message
  }
}

/** Messages travel in a Kafka header and in log lines: bounded, so that a hostile record cannot inflate either. */
const messageMaxChars = 400

export function toReject(fault: Fault, raw: RawRecord, schemaId?: number): Reject {
  return {
    rejected: true,
    reason: fault.reason,
    stage: 'decode',
    message: oneLine(fault.message, messageMaxChars),
    ...(schemaId === undefined ? {} : { schemaId }),
    raw,
  }
}

/** A found value as people write it, short enough for a message. */
export function show(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value)
  if (typeof value === 'bigint') {
    const digits = String(value)
    return digits.length > 60 ? `${digits.slice(0, 60)}…` : digits
  }
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (value === null) return 'null'
  return Array.isArray(value) ? `an array of ${value.length}` : 'an object'
}

/** What a field holds; of a nested one that is not there, where the way to it ends. */
export function showAt(fields: Readonly<Record<string, unknown>>, name: string): string {
  const value = fieldAt(fields, name)
  const step = value === undefined ? missingStep(fields, name) : null
  return step === null ? show(value) : `nothing (${step} is no object)`
}

const steeringRun = new RegExp(`${steering.source}+`, 'gu')

/** Control characters, line ends and what turns the direction of text become spaces; lone surrogates become U+FFFD; the rest is cut at `maxChars`. */
export function oneLine(text: string, maxChars: number): string {
  const cut = text.length > maxChars ? `${text.slice(0, maxChars - 1)}…` : text
  return cut.replace(steeringRun, ' ').toWellFormed()
}
