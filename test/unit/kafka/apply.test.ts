import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import { Kafka } from '../../../src/kafka/kafkajs.ts'
import { filterAbortedMessages } from '../../../src/kafka/patches/aborted-messages.ts'
import { assertVersion, loadPatchedKafkajs } from '../../../src/kafka/patches/apply.ts'
import { transactionRetry } from '../../../src/kafka/patches/claim-back-off.ts'
import { unloadKafkajs, unpatched } from '../../support/unpatched-kafkajs.ts'

const load = createRequire(import.meta.url)

test('the patches refuse any other version of kafkajs', () => {
  expect(() => assertVersion('2.2.4')).not.toThrow()
  expect(() => assertVersion('2.2.5')).toThrow(/2\.2\.5 .*exactly 2\.2\.4/)
})

test('whoever loads kafkajs later gets the patched one', () => {
  expect((load('kafkajs') as { Kafka: unknown }).Kafka).toBe(Kafka)
  expect(load('kafkajs/src/consumer/filterAbortedMessages')).toBe(filterAbortedMessages)
})

test('kafkajs that was loaded unpatched before does not get in the way: the filter is bound when it is loaded', () => {
  const filterOf = (kafkajs: unknown) => {
    expect(load('kafkajs')).toBe(kafkajs)
    const Batch = load('kafkajs/src/consumer/batch') as new (
      topic: string,
      offset: string,
      data: object,
    ) => { messages: unknown[] }
    const record = (offset: string, key: Buffer | null) => ({
      offset,
      key,
      batchContext: { producerId: '1', inTransaction: true },
    })
    // An aborted record with an int32 zero as key, which the published filter takes for a marker.
    const messages = [record('0', null), record('1', Buffer.alloc(4)), record('2', null)]
    return new Batch('t', '0', { messages, abortedTransactions: [{ producerId: '1', firstOffset: '0' }] })
      .messages
  }
  unloadKafkajs()
  expect(filterOf(load('kafkajs'))).toHaveLength(2)
  expect(filterOf(loadPatchedKafkajs())).toHaveLength(0)
})

test('the transaction manager finds a back-off of milliseconds (as published it finds none and waits 300 ms)', () => {
  interface Cluster {
    readonly prototype: { readonly retry?: unknown }
  }
  expect(unpatched<Cluster>('cluster').prototype.retry).toBeUndefined()
  expect((load('kafkajs/src/cluster') as Cluster).prototype.retry).toBe(transactionRetry)
})
