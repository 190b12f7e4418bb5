import { expect, test } from 'vitest'
import {
  decodeProducers,
  decodeTransaction,
  decodeTransactionList,
  encodeProducers,
  encodeTransaction,
  encodeTransactionList,
} from '../../../src/kafka/transactions-codec.ts'
import { releaseOf, topicsSeen } from '../../../src/kafka/inspect.ts'
import {
  decodeFeatures,
  decodeGroup,
  decodeMetadata,
  encodeGroup,
  encodeMetadata,
  encodeVersions,
} from '../../../src/kafka/inspect-codec.ts'

const hex = (...parts: readonly string[]): Buffer => Buffer.from(parts.join('').replaceAll(' ', ''), 'hex')

test('requests are written as Kafka reads them', () => {
  expect(encodeMetadata(['ab'])).toEqual(hex('00000001 0002 6162', '00 00 01'))
  expect(encodeGroup('g')).toEqual(hex('00000001 0001 67', '01'))
  expect(encodeVersions('m', '1')).toEqual(hex('00', '02 6d', '02 31', '00'))
  expect(encodeTransaction('t')).toEqual(hex('00', '02', '02 74', '00'))
  const long = encodeTransaction('x'.repeat(200))
  expect([long[2], long[3]]).toEqual([0xc9, 0x01]) // 201 as a varint
})

const topic = hex(
  '00000000', // throttle time
  '00000001 00000001 0001 68 00002384 ffff', // one broker, no rack
  'ffff 00000001', // cluster id, controller
  '00000001 0000 0002 6162 00', // one topic, no error
  '00000001 0000 00000003 00000001 00000000', // partition 3, leader 1
  '00000002 00000001 00000002', // replicas
  '00000001 00000001', // in sync
  '00000000', // offline
)

test('metadata: replicas, and what the principal may do', () => {
  const partitions = [{ partition: 3, leader: 1, replicas: 2, inSync: 1 }]
  // Bits 3 and 8: Read, Describe.
  expect(decodeMetadata(Buffer.concat([topic, hex('00000108 80000000')]))).toEqual([
    { errorCode: 0, topic: 'ab', partitions, operations: new Set(['Read', 'Describe']) },
  ])
  expect(decodeMetadata(Buffer.concat([topic, hex('80000000 80000000')]))[0]?.operations).toBeNull()
  expect(() => decodeMetadata(topic)).toThrow(RangeError)
})

test('a topic that may not be described is hidden; it is not taken for one that does not exist', () => {
  const one = (name: string, errorCode: number) => ({
    errorCode,
    topic: name,
    partitions: [],
    operations: null,
  })
  const seen = topicsSeen([one('there', 0), one('hidden', 29), one('absent', 3)])
  expect([[...seen.found.keys()], [...seen.hidden]]).toEqual([['there'], ['hidden']])
})

test('a group: members and where they are', () => {
  const group = hex(
    '00000000 00000001 0000 0001 67 0006 537461626c65 0000 0000', // Stable
    '00000001 0001 6d 0001 63 0002 2f68 00000002 0102 00000000',
    '80000000',
  )
  expect(decodeGroup(group)).toEqual({
    errorCode: 0,
    state: 'Stable',
    members: [{ memberId: 'm', clientId: 'c', host: '/h' }],
    operations: null,
  })
})

test('supported features; a broker that is older than the question tells none', () => {
  const versions = hex(
    '0000',
    '02 0000 0000 000d 00', // one API
    '00000000', // throttle time
    '02', // two tagged fields
    '01 08 0000000000000000', // tag 1, not ours
    '00 08 02 02 76 0001 001d 00', // tag 0: v, levels 1 to 29
  )
  expect(() => decodeFeatures(versions.subarray(0, -2))).toThrow(RangeError)
  expect(decodeFeatures(versions)).toEqual(new Map([['v', 29]]))
  expect(decodeFeatures(hex('0023'))).toEqual(new Map())
})

test('a transaction: whether it may be described, and its state', () => {
  const nothing = '00000000 ffffffffffffffff'
  expect(decodeTransaction(hex('00 00000000 02 0035 02 74 01', nothing))).toMatchObject({
    errorCode: 53,
    state: '',
  })
  expect(
    decodeTransaction(hex('00 00000000 02 0000 02 74 08 4f6e676f696e67', '0000ea60 0000000000000007')),
  ).toEqual({
    errorCode: 0,
    state: 'Ongoing',
    timeoutMs: 60_000,
    startedAtMs: 7,
  })
  expect(() => decodeTransaction(hex('00 00000000 01'))).toThrow(RangeError)
})

test('who has a transaction open in a partition, and under which id', () => {
  expect(encodeProducers('ab', 3)).toEqual(hex('00 02 03 6162 02 00000003 00 00'))
  expect(encodeTransactionList([5n])).toEqual(hex('00 01 02 0000000000000005 00'))
  const producer = '0000000000000005 00000001 00000009 0000000000000064 00000000 0000000000000011 00'
  const idle = '0000000000000006 00000001 00000009 0000000000000064 00000000 ffffffffffffffff 00'
  const answer = hex('00 00000000 02 03 6162 02 00000003 0000 00', `03 ${producer} ${idle}`, '00 00 00')
  expect(decodeProducers(answer)).toEqual({
    errorCode: 0,
    producers: [
      { producerId: 5n, epoch: 1, lastTimestamp: 100, startOffset: 17 },
      { producerId: 6n, epoch: 1, lastTimestamp: 100, startOffset: -1 },
    ],
  })
  const listed = hex('00 00000000 0000 01 02', '03 7478 0000000000000005 08 4f6e676f696e67 00', '00')
  expect(decodeTransactionList(listed)).toEqual({
    errorCode: 0,
    transactions: [{ transactionalId: 'tx', producerId: 5n }],
  })
})

test('releases by the newest metadata version that the binaries know', () => {
  expect([29, 30, 25, 7, 31, undefined].map(releaseOf)).toEqual([
    '4.2',
    '4.3',
    '4.0',
    '3.3',
    'newer than 4.3',
    null,
  ])
})
