import { describe, expect, test } from 'vitest'
import { MillraceError } from '../../../src/errors.ts'
import { encodeMetadata, parseMetadata, type CommitMetadata } from '../../../src/pipeline/metadata.ts'
import { planTakeover } from '../../../src/pipeline/takeover-plan.ts'
import type { TakeoverFacts, TakeoverPolicy } from '../../../src/pipeline/takeover-types.ts'
import { incarnationOf, isOtherTopic, lostUntil, ofThisLife } from '../../../src/pipeline/topic-life.ts'
import { encodeWatermark } from '../../../src/pipeline/watermark.ts'

const now = 2_000_000
const committed: CommitMetadata = {
  incarnation: 'inc.topicA',
  stateHash: 'state',
  clusterId: 'cluster',
  offset: 100,
  last: null,
  maxTime: 1_000_000,
  start: 0,
  base: 0,
  anchors: [],
  quarantine: [],
  gapUntil: null,
  partitions: { first: 4, accepted: 4 },
}
const watermark = encodeWatermark({
  incarnation: 'inc.topicA',
  build: 'b0b0b0b0',
  offset: 100,
  maxTime: 1_000_000,
  flushedAt: now - 1_000,
  caughtUpAt: 0,
  distanceMin: 1_000_000,
  headTime: null,
  builtAt: null,
})
const facts: TakeoverFacts = {
  name: 'tx:0',
  partition: 0,
  topic: { id: 'topicA', partitions: 4 },
  siblings: [],
  remembered: ['inc.topicA'],
  trimmedFor: null,
  committed: { offset: 100, metadata: encodeMetadata(committed) },
  log: { start: 5, end: 120 },
  watermarks: [watermark],
  slowestReaderTime: Infinity,
  oldestTimestamp: null,
  nowMs: now,
  clusterId: 'cluster',
  foreignLog: null,
  acknowledged: null,
}
const policy: TakeoverPolicy = {
  start: 'latest',
  stateHash: 'state',
  onForeignOffset: 'rebuild',
  onLogGone: 'refuse',
  onPartitionsAdded: 'refuse',
  keysMustStay: true,
  outageMaxMs: 10_000,
  visibleSpanMs: 200_000,
  futureMaxMs: 5_000,
  newIdentity: () => 'fresh',
}
const recreated = { id: 'topicB', partitions: 2 }

function errorOf(run: () => unknown): MillraceError {
  try {
    run()
  } catch (error) {
    if (error instanceof MillraceError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('a topic that was deleted and created again', () => {
  test('is recognised although offset, metadata and log fit, and is read from its start in a new incarnation', () => {
    expect(planTakeover(facts, policy)).toMatchObject({ kind: 'serve' })
    expect(planTakeover({ ...facts, topic: recreated }, policy)).toMatchObject({
      kind: 'pin',
      metadata: {
        incarnation: 'fresh.topicB',
        start: 5,
        base: 5,
        offset: 5,
        partitions: { first: 0, accepted: 2 },
      },
    })
  })

  test('is refused where the policy says so, with its new id', () => {
    const error = errorOf(() =>
      planTakeover({ ...facts, topic: recreated }, { ...policy, onForeignOffset: 'refuse' }),
    )
    expect(error.code).toBe('OFFSET_FOREIGN')
    expect(error.message).toMatch(/^tx:0: the topic was deleted and created again \(its id is topicB now\)/)
  })

  test.each([
    ['Redis remembers the earlier one', { remembered: ['new.topicB', 'inc.topicA'] }],
    ['another partition has an offset of the earlier one', { siblings: [committed] }],
    ['this process served the earlier one', { acknowledged: { incarnation: 'inc.topicA', offset: 9 } }],
  ])('without its offsets: %s, so it is read from its start whatever `start` says', (_, known) => {
    const gone = { ...facts, committed: null, watermarks: [null], remembered: [], topic: recreated }
    expect(planTakeover(gone, policy)).toMatchObject({ metadata: { start: 120 } })
    expect(planTakeover({ ...gone, ...known }, policy)).toMatchObject({
      metadata: { start: 5, incarnation: 'fresh.topicB' },
    })
  })

  test('is not seen where one side does not know the id, or in another cluster', () => {
    expect(planTakeover({ ...facts, topic: { ...recreated, id: null } }, policy).kind).toBe('serve')
    const nameless = { ...committed, incarnation: 'inc', base: 5 }
    const unknown = { ...facts, committed: { offset: 100, metadata: encodeMetadata(nameless) } }
    expect(planTakeover({ ...unknown, watermarks: [null] }, policy).kind).toBe('serve')
    // Offsets that were copied with their topic: served on from there.
    expect(planTakeover({ ...facts, topic: recreated, clusterId: 'mirror' }, policy)).toMatchObject({
      metadata: { start: 100 },
    })
  })
})

test('a definition that looks back further than the one before is rebuilt from the base, not from the oldest anchor left', () => {
  const anchors = [
    { offset: 40, maxTime: 700_000 },
    { offset: 60, maxTime: 900_000 },
  ]
  const text = encodeMetadata({ ...committed, base: 5, anchors })
  const lost = { ...facts, committed: { offset: 100, metadata: text }, watermarks: [null] }
  const longer = { ...policy, stateHash: 'another', visibleSpanMs: 900_000 }
  const plan = planTakeover(lost, longer)
  expect(plan).toMatchObject({ kind: 'serve', replayFrom: { offset: 5, maxTime: null } })
  // Committed with the next slice, so that a later loss of Redis knows as well.
  if (plan.kind === 'serve') expect(plan.metadata.anchors[0]).toEqual({ offset: 5, maxTime: null })
  // Where an anchor is old enough for it, that one will do.
  expect(planTakeover(lost, { ...longer, visibleSpanMs: 200_000 })).toMatchObject({
    replayFrom: { offset: 40 },
  })
})

test('a new incarnation is flagged up to the event time that others have kept their parts for', () => {
  const back = { ...facts, committed: { offset: 20, metadata: '' }, trimmedFor: 900_000 }
  const whole = { ...back, log: { start: 0, end: 120 } }
  expect(planTakeover(whole, policy)).toMatchObject({ metadata: { start: 20, gapUntil: 900_000 } })
  expect(planTakeover({ ...facts, topic: recreated, trimmedFor: 900_000 }, policy)).toMatchObject({
    metadata: { start: 5, gapUntil: 900_000 },
  })
})

test('behind an offset that an operator moved, windows are flagged until deleted records lie behind them', () => {
  // Times of events may lie ahead of their records by 5 000.
  const moved = { ...facts, committed: { offset: 20, metadata: '' }, oldestTimestamp: 800_000 }
  const plan = planTakeover(moved, { ...policy, futureMaxMs: 5_000 })
  expect(plan).toMatchObject({ metadata: { start: 20, base: 5, gapUntil: 1_005_000 } })
  if (plan.kind === 'pin') expect(lostUntil(plan.metadata.incarnation)).toBe(805_000)
})

test('an incarnation tells its topic, and until when deleted records are missing from its state', () => {
  const lost = incarnationOf('0a1b2c3d', 'topic@A', 1_234.5)
  expect(lostUntil(lost)).toBe(1_235)
  expect(lostUntil(incarnationOf('0a1b2c3d', null, -7))).toBe(-7)
  expect(lostUntil(incarnationOf('0a1b2c3d', 'topic@A', null))).toBeNull()
  expect(isOtherTopic(lost, 'topic@A')).toBe(false)
  expect(isOtherTopic(lost, 'topicB')).toBe(true)
})

test('what other partitions stored of an earlier topic of the same name is not looked at', () => {
  const of = (incarnation: string): { incarnation: string } => ({ incarnation })
  const watermarks = new Map([
    ['tx:0', of('a.topicB')],
    ['tx:1', of('b.topicA')],
    ['tx:2', of('c')],
    ['labels:1', of('d.topicL')],
  ])
  expect([...ofThisLife(watermarks, 'tx', 'x.topicB').keys()]).toEqual(['tx:0', 'tx:2', 'labels:1'])
  expect(ofThisLife(watermarks, 'tx', 'x')).toBe(watermarks)
})

test('offsets that vanish while Redis or this process remembers them are never guessed', () => {
  const lost = { ...facts, committed: null }
  expect(errorOf(() => planTakeover(lost, policy)).code).toBe('OFFSET_LOST')
  const forgotten = { ...lost, watermarks: [null] }
  expect(planTakeover(forgotten, policy).kind).toBe('pin')
  const acknowledged = { incarnation: 'inc.topicA', offset: 100 }
  expect(errorOf(() => planTakeover({ ...forgotten, acknowledged }, policy)).code).toBe('OFFSET_LOST')
})

describe('partitions that were added', () => {
  const siblings = [committed, { ...committed, maxTime: 1_500_000 }]
  const added = { ...facts, partition: 4, committed: null, watermarks: [null], siblings }
  const grown = { topic: { id: 'topicA', partitions: 6 } }
  const accepting = { ...policy, onPartitionsAdded: 'accept' as const }

  test('begin at the log start whatever `start` says; those that were there from the beginning do not', () => {
    const unaware = { ...policy, keysMustStay: false }
    expect(planTakeover({ ...added, ...grown }, unaware)).toMatchObject({
      metadata: { start: 5, gapUntil: null, partitions: { first: 4, accepted: 6 } },
    })
    // The first start of a group: its partitions are pinned one after another.
    expect(planTakeover({ ...added, ...grown, partition: 3 }, unaware)).toMatchObject({
      metadata: { start: 120, partitions: { first: 4 } },
    })
    expect(planTakeover({ ...added, ...grown, siblings: [] }, unaware)).toMatchObject({
      metadata: { start: 120, partitions: { first: 6, accepted: 6 } },
    })
  })

  test('stay recognisable after all the others have taken note of them', () => {
    const aware = siblings.map((one) => ({ ...one, partitions: { first: 4, accepted: 6 } }))
    expect(planTakeover({ ...added, ...grown, siblings: aware }, policy)).toMatchObject({
      metadata: { start: 5, partitions: { first: 4, accepted: 6 } },
    })
  })

  test('stop old and new partitions where keys must stay, with both numbers', () => {
    for (const one of [
      { ...added, ...grown },
      { ...facts, ...grown, siblings },
    ]) {
      const error = errorOf(() => planTakeover(one, policy))
      expect(error.code).toBe('PARTITIONS_ADDED')
      expect(error.message).toMatch(/the topic has 6 partitions, before there were 4/)
    }
    expect(planTakeover({ ...facts, ...grown, siblings }, { ...policy, keysMustStay: false }).kind).toBe(
      'serve',
    )
  })

  test('when accepted: the incarnation goes on, and every partition flags its predictions until the windows are past the newest event', () => {
    const old = planTakeover({ ...facts, ...grown, siblings }, accepting)
    expect(old).toMatchObject({
      kind: 'pin',
      metadata: { incarnation: 'inc.topicA', offset: 100, gapUntil: 1_700_000, partitions: { accepted: 6 } },
    })
    expect(planTakeover({ ...added, ...grown }, accepting)).toMatchObject({
      metadata: { start: 5, gapUntil: 1_700_000 },
    })
    if (old.kind !== 'pin') return
    const noted = { offset: 100, metadata: encodeMetadata(old.metadata) }
    expect(planTakeover({ ...facts, ...grown, committed: noted }, accepting).kind).toBe('serve')
    // A longer flag of before is kept.
    const flagged = { ...committed, gapUntil: 9_000_000 }
    const longer = {
      ...facts,
      ...grown,
      siblings,
      committed: { offset: 100, metadata: encodeMetadata(flagged) },
    }
    expect(planTakeover(longer, accepting)).toMatchObject({ metadata: { gapUntil: 9_000_000 } })
  })

  test('metadata of earlier versions learns the number of partitions with the next commit', () => {
    const { partitions: _, ...older } = committed
    const text = encodeMetadata(older)
    expect(parseMetadata(text)).toEqual(older)
    expect(
      planTakeover({ ...facts, ...grown, committed: { offset: 100, metadata: text } }, policy),
    ).toMatchObject({
      kind: 'serve',
      metadata: { partitions: { first: 6, accepted: 6 } },
    })
  })
})
