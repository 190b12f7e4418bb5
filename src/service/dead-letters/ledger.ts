import { MillraceError } from '../../errors.ts'
import type { TopicDescription } from '../../kafka/admin.ts'
import { recordDigest } from '../../pipeline/metadata.ts'
import type { InputPartition } from '../../record/input.ts'
import type { OutputRecord } from '../../record/output.ts'
import type { RawRecord } from '../../record/raw-record.ts'
import { partitionOfKey } from '../../sink/murmur2.ts'
import { parsePlace, type DeadLetter } from './dead-letter.ts'

/**
 * Which dead letters were replayed: one record for each in a topic of its own, written in the transaction that wrote the
 * replayed record. Ids are places in a log, so the digest tells a recreated dead-letter topic from the one remembered.
 */
export interface ReplayLedger {
  readonly size: number
  /** Takes in a record of the topic; ids of other topics than `topics` are left out. */
  add(record: RawRecord): void
  has(letter: DeadLetter): boolean
}

/** About 60 bytes each. A larger history is read in parts, one dead-letter topic at a time. */
const entriesMax = 5_000_000

export function createReplayLedger(topics: readonly string[], max = entriesMax): ReplayLedger {
  const entries = new Map<string, Map<number, number>>()
  let size = 0
  return {
    get size() {
      return size
    },
    add({ key, value }) {
      const place = parsePlace(key?.toString() ?? '')
      const digest = value === null ? null : parseDigest(value)
      if (place === null || digest === null || !topics.includes(place.topic)) return
      if (size >= max) {
        throw new MillraceError(
          'USAGE',
          `more than ${max} dead letters of ${topics.join(', ')} were replayed before; name one source with --source`,
        )
      }
      const log = `${place.topic}:${place.partition}`
      const offsets = entries.get(log) ?? new Map<number, number>()
      entries.set(log, offsets)
      if (!offsets.has(place.offset)) size++
      offsets.set(place.offset, digest)
    },
    has({ raw }) {
      return entries.get(`${raw.topic}:${raw.partition}`)?.get(raw.offset) === digestOf(raw)
    },
  }
}

/** A ledger that loses entries would let records be written twice. */
export function refuseForgetful({
  topic,
  cleanupPolicy,
  retentionMs,
  retentionBytes,
}: Pick<TopicDescription, 'topic' | 'cleanupPolicy' | 'retentionMs' | 'retentionBytes'>): void {
  if (cleanupPolicy === 'delete' && retentionMs === -1 && retentionBytes === -1) return
  throw new MillraceError(
    'KAFKA_TOPIC_FORGETS',
    `topic ${topic} has cleanup.policy=${cleanupPolicy}, retention.ms=${retentionMs} and retention.bytes=${retentionBytes}, so it would forget which dead letters were replayed`,
  )
}

/** `start`: first offset that is left of a partition of the ledger. */
export function refuseForgotten(
  { topic, partition }: Pick<InputPartition, 'topic' | 'partition'>,
  start: number,
): void {
  if (start === 0) return
  throw new MillraceError(
    'KAFKA_TOPIC_FORGETS',
    `${topic}:${partition} begins at offset ${start}: it has forgotten dead letters that were replayed, so they could be replayed twice`,
  )
}

/** What is remembered of a replayed dead letter. */
export function ledgerRecord(
  letter: DeadLetter,
  topic: string,
  partitions: number,
  nowMs: number,
): OutputRecord {
  const key = Buffer.from(letter.id)
  return {
    kind: 'dead-letter',
    topic,
    partition: partitionOfKey(key, partitions),
    key,
    value: JSON.stringify({
      v: 1,
      digest: digestOf(letter.raw).toString(16).padStart(8, '0'),
      to: `${letter.source.topic}:${letter.source.partition}`,
      at: new Date(nowMs).toISOString(),
    }),
    headers: undefined,
  }
}

/** 32 bits of key, value and timestamp. */
function digestOf(raw: RawRecord): number {
  return Number.parseInt(recordDigest(raw).slice(0, 8), 16)
}

function parseDigest(value: Buffer): number | null {
  try {
    const { digest } = JSON.parse(value.toString()) as { digest?: unknown }
    return typeof digest === 'string' && /^[0-9a-f]{8}$/.test(digest) ? Number.parseInt(digest, 16) : null
  } catch {
    return null
  }
}
