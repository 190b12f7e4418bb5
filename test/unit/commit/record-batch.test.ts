import { expect, test } from 'vitest'
import { coverageGap, produceRequest, toTopicMessages } from '../../../src/commit/record-batch.ts'
import { headersOf } from '../../../src/record/headers.ts'
import type { OutputRecord } from '../../../src/record/output.ts'

function output(
  topic: string,
  partition: number,
  value: string | null,
  headers?: Record<string, string>,
): OutputRecord {
  const list = headers && headersOf(headers)
  return { kind: 'prediction', topic, partition, key: Buffer.from('k'), value, headers: list }
}

test('outputs are grouped by topic, with their partitions and in their order', () => {
  const grouped = toTopicMessages([
    output('a', 0, '1'),
    output('b', 2, '2', { h: 'x' }),
    output('a', 0, '3'),
    output('a', 1, null),
  ])
  const key = Buffer.from('k')
  expect(grouped).toEqual([
    {
      topic: 'a',
      messages: [
        { partition: 0, key, value: '1' },
        { partition: 0, key, value: '3' },
        { partition: 1, key, value: null },
      ],
    },
    { topic: 'b', messages: [{ partition: 2, key, value: '2', headers: { h: ['x'] } }] },
  ])
})

test('a request waits for all in-sync replicas, for a bounded time', () => {
  expect(produceRequest([output('a', 0, '1')], 'lz4', 500)).toMatchObject({
    acks: -1,
    timeout: 500,
    compression: 3,
  })
})

test.each([
  [
    'everything answered',
    [
      ['a', 0],
      ['b', 1],
    ],
    null,
  ],
  [
    'a partition whose leader moved during a retry',
    [['a', 0]],
    'not acknowledged: b:1; acknowledged unasked: none; acknowledged twice: none',
  ],
  [
    'a partition nobody asked for',
    [
      ['a', 0],
      ['b', 1],
      ['b', 7],
    ],
    'not acknowledged: none; acknowledged unasked: b:7; acknowledged twice: none',
  ],
  [
    'a partition that moved during a retry from a broker that had answered, and was sent again',
    [
      ['a', 0],
      ['b', 1],
      ['a', 0],
    ],
    'not acknowledged: none; acknowledged unasked: none; acknowledged twice: a:0',
  ],
] as const)('coverage: %s', (_name, answered, gap) => {
  const outputs = [output('a', 0, '1'), output('a', 0, '2'), output('b', 1, '3')]
  const acknowledged = answered.map(([topicName, partition]) => ({ topicName, partition, errorCode: 0 }))
  expect(coverageGap(outputs, acknowledged)).toBe(gap)
})
