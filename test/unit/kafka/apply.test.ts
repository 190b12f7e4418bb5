import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import type { Broker } from '../../../src/kafka/internals.ts'
import { Kafka } from '../../../src/kafka/kafkajs.ts'
import { assertVersion, loadPatchedKafkajs } from '../../../src/kafka/patches/apply.ts'
import { transactionRetry } from '../../../src/kafka/patches/claim-back-off.ts'
import { fetchedBytes, keepRecordBytes, patchFetchedBytes } from '../../../src/kafka/patches/fetched-bytes.ts'
import { plainBatch } from '../../support/record-batches.ts'
import { unloadKafkajs, unpatched } from '../../support/unpatched-kafkajs.ts'

const load = createRequire(import.meta.url)

test('the patches refuse any other version of kafkajs', () => {
  expect(() => assertVersion('2.2.4')).not.toThrow()
  expect(() => assertVersion('2.2.5')).toThrow(/2\.2\.5 .*exactly 2\.2\.4/)
})

test('whoever loads kafkajs later gets the patched one', () => {
  expect((load('kafkajs') as { Kafka: unknown }).Kafka).toBe(Kafka)
  expect(load('kafkajs/src/protocol/requests/fetch/v4/decodeMessages')).toBe(keepRecordBytes)
})

/** A fetch response, version 11, of one partition. */
function response(records: Buffer): Buffer {
  const head = Buffer.alloc(63)
  head.writeInt32BE(1, 10) // topics
  head.write('\0\x01t', 14, 'latin1')
  head.writeInt32BE(1, 17) // partitions
  head.writeBigInt64BE(9n, 27) // high watermark
  head.writeBigInt64BE(7n, 35) // last stable offset
  head.writeInt32BE(0, 51) // aborted transactions
  head.writeInt32BE(-1, 55) // preferred replica
  head.writeInt32BE(records.length, 59)
  return Buffer.concat([head, records])
}

test('kafkajs that was loaded unpatched before does not get in the way: decoders are bound when they are loaded', async () => {
  const path = 'kafkajs/src/protocol/requests/fetch/v11/response'
  const records = plainBatch([{ offset: 3, timestamp: 1, key: null, value: Buffer.from('v') }])
  const messagesOf = async () => {
    const { decode } = load(path) as {
      decode(bytes: Buffer): Promise<{ responses: { partitions: { messages: unknown[] }[] }[] }>
    }
    return (await decode(response(records))).responses[0]?.partitions[0]?.messages ?? []
  }
  unloadKafkajs()
  expect(await messagesOf()).toHaveLength(1)
  loadPatchedKafkajs()
  const messages = await messagesOf()
  expect(messages).toHaveLength(0)
  class Fetching {
    fetch() {
      return Promise.resolve({ responses: [{ partitions: [{ lastStableOffset: '7', messages }] }] })
    }
  }
  patchFetchedBytes(Fetching as unknown as { prototype: Broker })
  await new Fetching().fetch()
  expect(fetchedBytes(messages)).toEqual({ bytes: records, stableOffset: 7, aborted: [] })
})

test('the transaction manager finds a back-off of milliseconds (as published it finds none and waits 300 ms)', () => {
  interface Cluster {
    readonly prototype: { readonly retry?: unknown }
  }
  expect(unpatched<Cluster>('cluster').prototype.retry).toBeUndefined()
  expect((load('kafkajs/src/cluster') as Cluster).prototype.retry).toBe(transactionRetry)
})
