import { expect, test } from 'vitest'
import { encodeMetadata } from '../../../../src/pipeline/metadata.ts'
import { visibleSpanMs } from '../../../../src/pipeline/partition-context.ts'
import type { Facts } from '../../../../src/service/doctor/facts.ts'
import { metadata, find, plan, positioned, stored } from './world.ts'

test('positions: what a start would make of them, by the code that decides it', () => {
  expect(positioned({}, 50, stored(50))).toMatchObject({
    status: 'ok',
    found: '1 partitions would go on where they were',
  })
  expect(positioned({}, 50)).toMatchObject({
    status: 'warn',
    found: expect.stringContaining('reads 50 records again'),
  })
  expect(positioned({}, 40)).toMatchObject({
    status: 'warn',
    found: expect.stringContaining('a new incarnation from offset 40'),
  })
  expect(positioned({ clusterId: 'other' })).toMatchObject({
    status: 'warn',
    found: expect.stringContaining('cluster other'),
  })
  expect(positioned({}, 50, stored(60))).toMatchObject({
    status: 'fail',
    found: expect.stringContaining('Redis holds state up to 60'),
  })
  const ranges = { value: new Map([['in', new Map([[0, { start: 60, end: 100 }]])]]) }
  expect(positioned({}, 50, { ranges })).toMatchObject({
    status: 'fail',
    found: expect.stringContaining('OFFSET_BELOW_LOG'),
  })
  const lives = { value: new Map([['in', { id: 'id2', partitions: 1 }]]) }
  expect(positioned({}, 50, { lives })).toMatchObject({
    status: 'warn',
    found: expect.stringContaining('created again'),
  })
})

test('positions: a new definition rebuilds from where a start would, on a log that retention has shortened', () => {
  const spanMs = visibleSpanMs(plan)
  const anchors = [
    { offset: 45, maxTime: 1_000 },
    { offset: 48, maxTime: spanMs },
  ]
  const older = { stateHash: '0000', maxTime: 1_000 + spanMs, anchors }
  const ranges = { value: new Map([['in', new Map([[0, { start: 40, end: 100 }]])]]) }
  expect(positioned(older, 50, { ranges })).toMatchObject({
    status: 'warn',
    found: expect.stringContaining('reads 5 records again, from offset 45 on'),
  })
})

test('positions: what other partitions read has to reach back to the slowest of them', () => {
  const spanMs = visibleSpanMs(plan)
  const committed = {
    ...metadata,
    stateHash: '0000',
    maxTime: 5_000 + spanMs,
    anchors: [{ offset: 45, maxTime: 1_000 }],
  }
  const positions = {
    value: new Map([
      ['in', new Map()],
      ['labels', new Map([[0, { offset: 50, metadata: encodeMetadata(committed) }]])],
    ]),
  }
  const ranges = { value: new Map([['labels', new Map([[0, { start: 40, end: 100 }]])]]) }
  const reader = (maxTime: number): Partial<Facts> => {
    const text = JSON.stringify([1, 'aaaa.id1', 'bbbb', 50, maxTime, 0, 0, null])
    return { watermarks: { value: [new Map([['in:0', text]])] } }
  }
  const found = (maxTime: number) => find('group.positions', { positions, ranges, ...reader(maxTime) })
  expect(found(2_000 + spanMs)).toMatchObject({
    status: 'warn',
    found: expect.stringContaining('records again'),
  })
  expect(found(500 + spanMs)).toMatchObject({
    status: 'warn',
    found: expect.stringContaining('Whether a start stops at it is not known here'),
  })
})
