import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import { Kafka } from '../../../src/kafka/kafkajs.ts'
import { filterAbortedMessages } from '../../../src/kafka/patches/aborted-messages.ts'
import { assertVersion, loadPatchedKafkajs } from '../../../src/kafka/patches/apply.ts'
import { transactionRetry } from '../../../src/kafka/patches/claim-back-off.ts'
import { unpatched } from '../../support/unpatched-kafkajs.ts'

const load = createRequire(import.meta.url)

test('the patches refuse any other version of kafkajs', () => {
  expect(() => assertVersion('2.2.4')).not.toThrow()
  expect(() => assertVersion('2.2.5')).toThrow(/2\.2\.5 .*exactly 2\.2\.4/)
})

test('whoever loads kafkajs later gets the patched one', () => {
  expect((load('kafkajs') as { Kafka: unknown }).Kafka).toBe(Kafka)
  expect(load('kafkajs/src/consumer/filterAbortedMessages')).toBe(filterAbortedMessages)
})

test('loading it unpatched first is refused: its consumer would keep the leaking filter', () => {
  expect(() => loadPatchedKafkajs()).toThrow(/before it could be patched/)
})

test('the transaction manager finds a back-off of milliseconds (as published it finds none and waits 300 ms)', () => {
  interface Cluster {
    readonly prototype: { readonly retry?: unknown }
  }
  expect(unpatched<Cluster>('cluster').prototype.retry).toBeUndefined()
  expect((load('kafkajs/src/cluster') as Cluster).prototype.retry).toBe(transactionRetry)
})
