/** Bytes of Produce, the request that carries outputs to the leader of their partitions. Pure but for codecs. */
import { Reader } from '../wire-types.ts'
import { encodeRecordBatch, type BatchHead, type HeaderBytes } from './encode-record-batch.ts'
import type { GrowingBuffer } from './growing-buffer.ts'
import type { OutputBatch } from './output-batches.ts'

export const produceApi = { apiKey: 0, apiName: 'Produce' } as const
/** Version 3 is the first with record batches, 7 the first with zstd; their requests are the same. */
const versionMin = 3
const versionMax = 7
/** The first whose answer tells where the log begins. */
const versionWithLogStart = 5
/** The first whose answer comes before the broker slows the client down: the client has to wait. */
const versionWithThrottling = 6

/** The newest version both sides speak; null: none. */
export function produceVersion(brokerMax: number): number | null {
  const version = Math.min(versionMax, brokerMax)
  return version < versionMin ? null : version
}

export interface ProduceHead extends Omit<BatchHead, 'sequence'> {
  readonly transactionalId: string
  /** How long a leader may wait for its followers. */
  readonly timeoutMs: number
}

export interface SequencedBatch extends OutputBatch {
  readonly sequence: number
}

/** All in-sync replicas: the only value a transaction allows. */
const acksOfAll = -1

/** Writes the body of the request, one batch per partition. */
export async function encodeProduce(
  buffer: GrowingBuffer,
  batches: readonly SequencedBatch[],
  head: ProduceHead,
  headerBytes: HeaderBytes,
): Promise<void> {
  buffer.string(head.transactionalId)
  buffer.int16(acksOfAll)
  buffer.int32(head.timeoutMs)
  const byTopic = Map.groupBy(batches, ({ topic }) => topic)
  buffer.int32(byTopic.size)
  for (const [topic, ofTopic] of byTopic) {
    buffer.string(topic)
    buffer.int32(ofTopic.length)
    for (const { partition, records, sequence } of ofTopic) {
      buffer.int32(partition)
      buffer.int32(0) // length of the batch
      const start = buffer.at
      const written = encodeRecordBatch(buffer, records, { ...head, sequence }, headerBytes)
      if (written) await written
      buffer.bytes.writeInt32BE(buffer.at - start, start - 4)
    }
  }
}

/** What a leader says of one partition. */
export interface Produced {
  readonly topic: string
  readonly partition: number
  /** 0: written. */
  readonly errorCode: number
}

export function decodeProduce(
  payload: Buffer,
  version: number,
): { readonly partitions: readonly Produced[]; readonly throttleMs: number } {
  const read = new Reader(payload)
  const partitions = read
    .array(() => {
      const topic = read.text()
      return read.array(() => {
        const partition = read.int32()
        const errorCode = read.int16()
        read.skip(8 + 8) // base offset, time of appending
        if (version >= versionWithLogStart) read.skip(8)
        return { topic, partition, errorCode }
      })
    })
    .flat()
  const throttleMs = read.int32()
  return { partitions, throttleMs: version >= versionWithThrottling ? throttleMs : 0 }
}
