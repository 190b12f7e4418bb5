import type { RawRecord } from './raw-record.ts'

export type FieldValue = unknown
/** What was decoded of one record, by name. */
export type Fields = Readonly<Record<string, FieldValue>>

/** A decoded, valid record. */
export interface Event {
  /** Event id as text (numbers are written in decimal). */
  readonly id: string
  /** Value of the source's key field as text; equals the record key. */
  readonly key: string
  /** Event time, epoch milliseconds, integer. */
  readonly time: number
  readonly fields: Fields
  readonly raw: RawRecord
}

/** Reasons of dead letters; part of the public contract (header `millrace.dlq.reason`). */
export const rejectReasons = [
  'DECODE',
  'SCHEMA',
  'VALIDATION',
  'TIMESTAMP',
  'LATE',
  'MISSING',
  'EXPRESSION',
  'INFERENCE',
  'OUTPUT',
  'OVERSIZE',
  'UNREADABLE',
  'POISON',
] as const
export type RejectReason = (typeof rejectReasons)[number]

/** Where a record was given up, in the order it goes through them. */
export const rejectStages = ['decode', 'feature', 'model', 'decide', 'sink'] as const
export type RejectStage = (typeof rejectStages)[number]

/** A record that yields a dead letter instead of a prediction. Data, not an error. */
export interface Reject {
  readonly rejected: true
  readonly reason: RejectReason
  readonly stage: RejectStage
  /** What is wrong, where in the record, what was expected. One line. */
  readonly message: string
  readonly schemaId?: number
  /** How often it was tried; absent: once. */
  readonly attempts?: number
  readonly raw: RawRecord
}

export function isReject(value: Event | Reject): value is Reject {
  return 'rejected' in value
}
