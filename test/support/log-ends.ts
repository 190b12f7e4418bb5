import type { Admin } from 'kafkajs'
import { exchange } from '../../src/stack/kafka-handshake.ts'

const answerMaxMs = 10_000
const listOffsetsKey = 2
const listOffsetsVersion = 2 // the first with an isolation level
/** Where readers of this isolation level end. */
const levels = { written: 0, stable: 1 } as const
export type LogEnd = keyof typeof levels
const latestTimestamp = -1n

/**
 * The end of each partition: with `written` the high watermark, with `stable` where read_committed consumers end, which
 * is before the first open transaction. Asks the leaders. (kafkajs's admin calls `high` what is stable.)
 */
export async function logEnds(admin: Admin, topic: string, end: LogEnd): Promise<Map<number, bigint>> {
  const [{ brokers }, { topics }] = await Promise.all([
    admin.describeCluster(),
    admin.fetchTopicMetadata({ topics: [topic] }),
  ])
  const byLeader = Map.groupBy(topics[0]?.partitions ?? [], ({ leader }) => leader)
  const ends = new Map<number, bigint>()
  for (const [leader, partitions] of byLeader) {
    const at = brokers.find(({ nodeId }) => nodeId === leader)
    if (at === undefined) throw new Error(`${topic} has partitions without a leader`)
    const ids = partitions.map(({ partitionId }) => partitionId)
    const request = encodeRequest(topic, ids, levels[end])
    const answer = await exchange(at.host, at.port, request, AbortSignal.timeout(answerMaxMs))
    for (const [partition, offset] of readAnswer(answer)) ends.set(partition, offset)
  }
  return ends
}

/** Whether each partition has reached its end in `wanted`. */
export function haveReached(ends: ReadonlyMap<number, bigint>, wanted: ReadonlyMap<number, bigint>): boolean {
  return [...wanted].every(([partition, end]) => (ends.get(partition) ?? 0n) >= end)
}

function encodeRequest(topic: string, ids: readonly number[], level: number): Buffer {
  const name = Buffer.from(topic)
  const head = Buffer.alloc(21)
  head.writeInt16BE(listOffsetsKey, 0)
  head.writeInt16BE(listOffsetsVersion, 2)
  head.writeInt32BE(1, 4) // correlation id
  head.writeInt16BE(-1, 8) // client id: null
  head.writeInt32BE(-1, 10) // replica id: a consumer
  head.writeInt8(level, 14)
  head.writeInt32BE(1, 15) // topics
  head.writeInt16BE(name.length, 19)
  const partitions = Buffer.alloc(4 + ids.length * 12)
  partitions.writeInt32BE(ids.length, 0)
  for (const [index, id] of ids.entries()) {
    partitions.writeInt32BE(id, 4 + index * 12)
    partitions.writeBigInt64BE(latestTimestamp, 8 + index * 12)
  }
  const body = Buffer.concat([head, name, partitions])
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length)
  return Buffer.concat([length, body])
}

function readAnswer(answer: Buffer): Map<number, bigint> {
  let at = 12 // correlation id, throttle time, number of topics
  at += 2 + answer.readInt16BE(at) // topic name
  const count = answer.readInt32BE(at)
  at += 4
  const ends = new Map<number, bigint>()
  for (let i = 0; i < count; i++, at += 22) {
    const partition = answer.readInt32BE(at)
    const errorCode = answer.readInt16BE(at + 4)
    if (errorCode !== 0)
      throw new Error(`ListOffsets of partition ${partition} failed with code ${errorCode}`)
    ends.set(partition, answer.readBigInt64BE(at + 14)) // after the timestamp
  }
  return ends
}
