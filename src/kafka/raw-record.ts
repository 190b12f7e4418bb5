import type { RawRecord } from '../record/raw-record.ts'
import type { FetchedMessage } from './internals.ts'

/** A fetched message as the rest of the program knows it: offset and timestamp as numbers. */
export function rawRecord(
  { topic, partition }: { readonly topic: string; readonly partition: number },
  message: Pick<FetchedMessage, 'offset' | 'timestamp' | 'key' | 'value'> & {
    readonly headers?: RawRecord['headers']
  },
): RawRecord {
  return {
    topic,
    partition,
    offset: Number(message.offset),
    timestamp: Number(message.timestamp),
    key: message.key,
    value: message.value,
    headers: message.headers ?? {},
  }
}
