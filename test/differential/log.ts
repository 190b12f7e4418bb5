import type { Event } from '../../src/record/event.ts'
import type { RawRecord } from '../../src/record/raw-record.ts'
import type { LoggedEvent } from '../support/feature-oracle.ts'
import type { Upload } from './feed.ts'

/** A record of a log in memory, which carries what it decodes to. */
export interface DecodedRecord extends RawRecord {
  readonly decoded: Omit<Event, 'raw'>
}

/** An event of the logs. */
export interface LoggedRecord extends LoggedEvent {
  /** `topic:partition`. */
  readonly input: string
  readonly raw: DecodedRecord
  /** Place among the appends to all logs: what has a smaller one stood there before. */
  readonly appended: number
}

export function decodedRecord(upload: Upload, offset: number): DecodedRecord {
  const { id, source, partition, time, fields, timestamp } = upload
  const value = Buffer.from(id) // by which a takeover knows the record again
  const decoded = { id, key: String(fields['customer']), time, fields }
  return { topic: source, partition, offset, timestamp, key: null, value, headers: [], decoded }
}

export function loggedRecord(raw: DecodedRecord, appended: number): LoggedRecord {
  const { topic, partition, decoded } = raw
  return { source: topic, input: `${topic}:${partition}`, raw, appended, event: { ...decoded, raw } }
}
