import type { OutputRecord } from '../../record/output.ts'
import { recordBytes, type HeaderBytes } from './encode-record-batch.ts'
import { batchHeadBytes } from './read-frames.ts'

/** What goes to one partition in one request, in order. */
export interface OutputBatch {
  readonly topic: string
  readonly partition: number
  readonly records: readonly OutputRecord[]
}

interface Growing extends OutputBatch {
  readonly records: OutputRecord[]
  bytes: number
}

/** Of one request: far below what a broker takes (100 MB), and what a process can hold for each partition. */
const requestBytesMax = 16 * 1024 * 1024

/**
 * Outputs by partition, in as many requests as needed so that each has one batch per partition, of `batchBytesMax` at
 * most. The order within a partition is kept. A record that fits nowhere goes alone.
 */
export function outputBatches(
  outputs: readonly OutputRecord[],
  batchBytesMax: number,
  headerBytes: HeaderBytes,
): readonly (readonly OutputBatch[])[] {
  const requests: Growing[][] = []
  let batches: Growing[] = []
  let byTopic = new Map<string, Growing[]>()
  let requestBytes = 0
  for (const output of outputs) {
    const bytes = recordBytes(output, headerBytes)
    let batch = byTopic.get(output.topic)?.[output.partition]
    const isFull =
      (batch?.bytes ?? batchHeadBytes) + bytes > batchBytesMax || requestBytes + bytes > requestBytesMax
    if (isFull && batches.length > 0) {
      requests.push(batches)
      batches = []
      byTopic = new Map()
      requestBytes = 0
      batch = undefined
    }
    if (batch === undefined) {
      batch = { topic: output.topic, partition: output.partition, records: [], bytes: batchHeadBytes }
      const ofTopic = byTopic.get(output.topic) ?? []
      ofTopic[output.partition] = batch
      byTopic.set(output.topic, ofTopic)
      batches.push(batch)
    }
    batch.records.push(output)
    batch.bytes += bytes
    requestBytes += bytes
  }
  if (batches.length > 0) requests.push(batches)
  return requests
}
