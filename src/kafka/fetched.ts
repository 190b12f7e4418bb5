import type { RawRecord } from '../record/raw-record.ts'
import type { LogPlace } from './raw-record.ts'
import { RecordQueue } from './record-queue.ts'
import { committedFrames, type AbortedTransaction } from './wire/committed-frames.ts'
import { framesOf } from './wire/read-frames.ts'

/** Record batches of one partition as a broker sent them. */
export interface FetchedBytes {
  readonly bytes: Buffer
  /** Null or empty: none, or all records were asked for. */
  readonly aborted: readonly AbortedTransaction[] | null
  /** Where readers of committed records end: before the first open transaction; −1: the broker did not say. */
  readonly stableOffset: number
}

/** One partition's part of a fetch response. */
export interface Fetched extends FetchedBytes, LogPlace {
  /** The offset that was asked for. */
  readonly fetchedOffset: number
  readonly highWatermark: number
}

/**
 * The committed records at or after `from`, all at once, for readers that need no bound of their own; what cannot be read
 * stands in its place. `next`: offset behind everything fetched. Throws Unreadable when no batch begins where one should.
 */
export async function readFetched(
  place: LogPlace,
  { bytes, aborted }: Pick<FetchedBytes, 'bytes' | 'aborted'>,
  from: number,
): Promise<{ readonly records: readonly RawRecord[]; readonly next: number }> {
  const frames = framesOf(bytes)
  const queue = new RecordQueue(place, from)
  queue.push(bytes, committedFrames(frames, aborted))
  const records: RawRecord[] = []
  while (!queue.isEmpty) {
    if (queue.doubtful !== null) queue.pass()
    while (queue.lacks(Infinity)) await queue.read()
    for (const record of queue.take(Infinity)) records.push(record)
  }
  return { records, next: Math.max(from, (frames.at(-1)?.lastOffset ?? -1) + 1) }
}
