import { describe, expect, test } from 'vitest'
import { MillraceError } from '../../../src/errors.ts'
import { tornBy } from '../../../src/features/store.ts'
import { missesRecords } from '../../../src/pipeline/deleted-records.ts'
import { encodeMetadata, type CommitMetadata } from '../../../src/pipeline/metadata.ts'
import { planTakeover } from '../../../src/pipeline/takeover-plan.ts'
import type { TakeoverFacts, TakeoverPolicy } from '../../../src/pipeline/takeover-types.ts'
import { encodeWatermark, type Watermark } from '../../../src/pipeline/watermark.ts'

const now = 2_000_000
const metadata: CommitMetadata = {
  incarnation: 'inc',
  stateHash: 'state',
  clusterId: 'cluster',
  offset: 100,
  last: null,
  maxTime: 1_000_000,
  start: 0,
  base: 0,
  anchors: [
    { offset: 0, maxTime: null },
    { offset: 20, maxTime: 500_000 },
    { offset: 60, maxTime: 900_000 },
  ],
  quarantine: [],
  gapUntil: null,
  partitions: { first: 4, accepted: 4 },
}
const watermark: Watermark = {
  incarnation: 'inc',
  build: 'b0b0b0b0',
  offset: 100,
  maxTime: 1_000_000,
  flushedAt: now - 1_000,
  caughtUpAt: 0,
  distanceMin: 1_000_000,
  headTime: null,
  builtAt: null,
}
const facts: TakeoverFacts = {
  name: 'tx:0',
  partition: 0,
  topic: { id: null, partitions: 4 },
  siblings: [],
  remembered: [],
  trimmedFor: null,
  committed: { offset: 100, metadata: encodeMetadata(metadata) },
  log: { start: 0, end: 120 },
  watermarks: [encodeWatermark(watermark)],
  slowestReaderTime: Infinity,
  oldestTimestamp: null,
  nowMs: now,
  clusterId: 'cluster',
  foreignLog: null,
  acknowledged: null,
}
let identities = 0
const policy: TakeoverPolicy = {
  start: 'earliest',
  stateHash: 'state',
  onForeignOffset: 'rebuild',
  onLogGone: 'refuse',
  onPartitionsAdded: 'refuse',
  keysMustStay: true,
  outageMaxMs: 10_000,
  visibleSpanMs: 200_000,
  futureMaxMs: 5_000,
  newIdentity: () => `id${identities++}`,
}

function codeOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    return error instanceof MillraceError ? error.code : String(error)
  }
  return 'no error'
}

/** The incarnation tells readers in other partitions. */
function lostIn(time: number): unknown {
  return expect.stringMatching(new RegExp(`@${time}$`))
}

describe('first start', () => {
  const fresh = { ...facts, committed: null, watermarks: [null], log: { start: 5, end: 50 } }

  test.each([
    ['earliest' as const, 5],
    ['latest' as const, 50],
    [{ offset: 20 }, 20],
    [{ offset: 1 }, 5],
    [{ offset: 99 }, 50],
  ])('start %j pins offset %i before anything is served', (start, offset) => {
    const plan = planTakeover(fresh, { ...policy, start })
    expect(plan).toMatchObject({ kind: 'pin', metadata: { start: offset, offset, base: 5 } })
  })

  test('Redis that remembers a partition without a committed offset is refused', () => {
    const remembered = { ...fresh, watermarks: [encodeWatermark({ ...watermark, offset: 30 })] }
    expect(codeOf(() => planTakeover(remembered, policy))).toBe('OFFSET_LOST')
  })
})

describe('a first start beside others', () => {
  const fresh = { ...facts, committed: null, watermarks: [null] }
  const gap = (known: Partial<TakeoverFacts>): unknown => {
    const plan = planTakeover({ ...fresh, siblings: [metadata], ...known }, policy)
    return plan.kind === 'pin' ? plan.metadata.gapUntil : plan.kind
  }

  test('that can still rebuild all they ever stored misses nothing', () => {
    expect(gap({ forgottenTime: null, trimmedFor: 900_000 })).toBeNull()
  })

  test('that have forgotten what they stored at first may miss it: its offset was lost, and Redis was emptied', () => {
    expect(gap({ forgottenTime: 500_000 })).toBe(700_000)
    expect(gap({ forgottenTime: 500_000, trimmedFor: 900_000 })).toBe(900_000)
  })
})

describe('takeover', () => {
  test('a store at the committed offset is served at once', () => {
    const plan = planTakeover(facts, policy)
    expect(plan).toMatchObject({
      kind: 'serve',
      rebuilds: false,
      replayFrom: { offset: 100, maxTime: 1_000_000 },
      buckets: [{ rebuild: false, build: 'b0b0b0b0', expected: facts.watermarks[0] }],
    })
  })

  test('a store that is behind is replayed from its watermark, with the event time stored there', () => {
    const behind = encodeWatermark({ ...watermark, offset: 70, maxTime: 950_000, distanceMin: 1_050_000 })
    expect(planTakeover({ ...facts, watermarks: [behind] }, policy)).toMatchObject({
      replayFrom: { offset: 70, maxTime: 950_000 },
      rebuilds: false,
    })
  })

  test.each([
    ['missing', null],
    ['torn', tornBy('w')],
    ['of another incarnation', encodeWatermark({ ...watermark, incarnation: 'other' })],
    ['older than an outage may last', encodeWatermark({ ...watermark, distanceMin: 100 })],
  ])(
    'a watermark that is %s rebuilds under a fresh build from the newest anchor that is old enough',
    (_, text) => {
      const plan = planTakeover({ ...facts, watermarks: [text] }, policy)
      expect(plan).toMatchObject({
        kind: 'serve',
        rebuilds: true,
        // 1 000 000 − 200 000 = 800 000: the anchor at 900 000 is too young.
        replayFrom: { offset: 20, maxTime: 500_000 },
        buckets: [{ rebuild: true, expected: text }],
      })
      if (plan.kind === 'serve') expect(plan.buckets[0]?.build).not.toBe(watermark.build)
    },
  )

  test('a slow reader of merged parts pulls the start of a rebuild back, an unknown one to the oldest anchor', () => {
    const lost = { ...facts, watermarks: [null] }
    expect(planTakeover({ ...lost, slowestReaderTime: 650_000 }, policy)).toMatchObject({
      replayFrom: { offset: 0, maxTime: null },
    })
    expect(planTakeover({ ...lost, slowestReaderTime: null }, policy)).toMatchObject({
      replayFrom: { offset: 0, maxTime: null },
    })
  })

  describe('a new definition on a service older than its retention', () => {
    // Its namespace knows no reader; the first records are deleted.
    const changed = { ...facts, watermarks: [null], slowestReaderTime: null, log: { start: 15, end: 120 } }
    const renewed = { ...policy, stateHash: 'changed' }

    test('rebuilds merged parts for the slowest reader that committed anything', () => {
      expect(planTakeover({ ...changed, committedReaderTime: 750_000 }, renewed)).toMatchObject({
        kind: 'serve',
        rebuilds: true,
        // 750 000 − 200 000: the anchor at 500 000 is old enough.
        replayFrom: { offset: 20, maxTime: 500_000 },
      })
    })

    test('while others rebuild: their watermarks tell how far they are, not what they will read', () => {
      const rebuilding = { ...changed, slowestReaderTime: 550_000, committedReaderTime: 750_000 }
      expect(planTakeover(rebuilding, renewed)).toMatchObject({ replayFrom: { offset: 20 } })
    })

    test('is refused when a reader is unknown, or slower than what is left of the log', () => {
      expect(codeOf(() => planTakeover(changed, renewed))).toBe('OFFSET_BELOW_LOG')
      const slower = { ...changed, committedReaderTime: 650_000 }
      expect(codeOf(() => planTakeover(slower, renewed))).toBe('OFFSET_BELOW_LOG')
    })

    test('reads all there is while the log begins at the base', () => {
      const whole = { ...changed, log: facts.log, committedReaderTime: 750_000 }
      expect(planTakeover(whole, renewed)).toMatchObject({ replayFrom: { offset: 0, maxTime: null } })
    })
  })

  test('with several buckets the replay starts at the one furthest behind', () => {
    const behind = encodeWatermark({ ...watermark, offset: 70, maxTime: 950_000, distanceMin: 1_050_000 })
    const plan = planTakeover({ ...facts, watermarks: [facts.watermarks[0] ?? null, behind] }, policy)
    expect(plan).toMatchObject({ replayFrom: { offset: 70 }, buckets: [{ offset: 100 }, { offset: 70 }] })
  })

  test('a store ahead of the committed offset is never served', () => {
    const ahead = encodeWatermark({ ...watermark, offset: 101 })
    expect(planTakeover({ ...facts, watermarks: [ahead] }, policy)).toMatchObject({ kind: 'again' })
  })
})

test('a position below what was acknowledged to this process is never served', () => {
  const acknowledged = { incarnation: 'inc', offset: 101 }
  expect(planTakeover({ ...facts, acknowledged }, policy)).toMatchObject({ kind: 'again' })
  expect(planTakeover({ ...facts, acknowledged: { ...acknowledged, offset: 100 } }, policy)).toMatchObject({
    kind: 'serve',
  })
  // Another incarnation: its offsets say nothing about this one's.
  const earlier = { incarnation: 'earlier', offset: 500 }
  expect(planTakeover({ ...facts, acknowledged: earlier }, policy)).toMatchObject({ kind: 'serve' })
})

describe('records that retention was not asked to keep are gone', () => {
  const last = 1_000_000
  const quiet: TakeoverFacts = {
    ...facts,
    watermarks: [encodeWatermark({ ...watermark, distanceMin: 0 })],
    log: { start: 100, end: 100 },
    nowMs: last + 600_000,
  }
  const span = policy.visibleSpanMs
  const patient = { ...policy, outageMaxMs: 300_000 }

  test('a partition that was quiet for longer than retention goes on, whatever onLogGone says', () => {
    const plan = planTakeover(quiet, patient)
    expect(plan).toMatchObject({
      kind: 'pin',
      // Late events still say that they may miss something, here and in other partitions.
      metadata: {
        offset: 100,
        start: 100,
        base: 100,
        maxTime: null,
        gapUntil: last + span,
        incarnation: lostIn(last),
      },
    })
    if (plan.kind !== 'pin') return
    const committed = { offset: 100, metadata: encodeMetadata(plan.metadata) }
    expect(planTakeover({ ...quiet, committed }, patient)).toMatchObject({
      kind: 'serve',
      replayFrom: { offset: 100, maxTime: null },
    })
  })

  test('also when the first record after the silence is there', () => {
    const woken = { ...quiet, log: { start: 100, end: 101 } }
    expect(planTakeover({ ...woken, nextTimestamp: last + span + 1 }, patient).kind).toBe('pin')
    // A backlog: its events would see what is missing.
    expect(codeOf(() => planTakeover({ ...woken, nextTimestamp: last + span }, patient))).toBe(
      'OFFSET_BELOW_LOG',
    )
    expect(codeOf(() => planTakeover(woken, patient))).toBe('OFFSET_BELOW_LOG')
  })

  test('but not while records are needed that retention should have kept, or windows still see them', () => {
    const lost = { ...quiet, watermarks: [null] }
    // The anchor of a rebuild lies at 500 000: records from then on are to be kept for 200 000 + 300 000.
    expect(planTakeover({ ...lost, nowMs: last + span + 1 }, patient).kind).toBe('pin')
    expect(codeOf(() => planTakeover({ ...lost, nowMs: last + span }, patient))).toBe('OFFSET_BELOW_LOG')
    const longer = { ...patient, outageMaxMs: 900_000 }
    expect(planTakeover({ ...lost, nowMs: 1_600_001 }, longer).kind).toBe('pin')
    expect(codeOf(() => planTakeover({ ...lost, nowMs: 1_600_000 }, longer))).toBe('OFFSET_BELOW_LOG')
  })

  test('and not where event time is always so far behind: history that is read in', () => {
    const inHistory = (distanceMin: number): TakeoverFacts => ({
      ...quiet,
      // An old backup, from before the log start.
      watermarks: [encodeWatermark({ ...watermark, offset: 50, distanceMin })],
    })
    expect(codeOf(() => planTakeover(inHistory(400_000), patient))).toBe('OFFSET_BELOW_LOG')
    expect(planTakeover(inHistory(300_000), patient).kind).toBe('pin')
  })

  test('emptied in two steps, it goes on a second time, and before its first event as well', () => {
    const again = (one: CommitMetadata): TakeoverFacts => ({
      ...quiet,
      watermarks: [null],
      committed: { offset: 100, metadata: encodeMetadata(one) },
    })
    const pinned = { ...metadata, base: 90, anchors: [{ offset: 90, maxTime: null }], maxTime: null }
    expect(planTakeover(again({ ...pinned, incarnation: 'inc@1000000' }), patient)).toMatchObject({
      metadata: { base: 100, gapUntil: last + span, incarnation: lostIn(last) },
    })
    const first = planTakeover(again({ ...pinned, start: 100 }), patient)
    expect(first).toMatchObject({ metadata: { base: 100, gapUntil: null } })
    if (first.kind === 'pin') expect(first.metadata.incarnation).not.toContain('@')
  })

  test('for a reader that stayed behind, it starts at the log start and lets that reader flag what it misses', () => {
    const anchors = [
      { offset: 20, maxTime: 500_000 },
      { offset: 80, maxTime: 900_000 },
    ]
    const behind: TakeoverFacts = {
      ...quiet,
      committed: { offset: 100, metadata: encodeMetadata({ ...metadata, anchors }) },
      watermarks: [null],
      log: { start: 50, end: 120 },
      nextTimestamp: last,
      oldestTimestamp: 795_000,
      slowestReaderTime: null,
      nowMs: 1_000_001,
    }
    const plan = planTakeover(behind, patient)
    expect(plan).toMatchObject({
      kind: 'pin',
      metadata: { start: 100, base: 50, maxTime: last, gapUntil: last, incarnation: lostIn(800_000) },
    })
    // Own events would miss something; or the records should be there.
    expect(codeOf(() => planTakeover({ ...behind, oldestTimestamp: 795_001 }, patient))).toBe(
      'OFFSET_BELOW_LOG',
    )
    expect(codeOf(() => planTakeover({ ...behind, nowMs: 1_000_000 }, patient))).toBe('OFFSET_BELOW_LOG')
    if (plan.kind !== 'pin') return
    const committed = { offset: 100, metadata: encodeMetadata(plan.metadata) }
    expect(planTakeover({ ...behind, committed }, patient)).toMatchObject({
      kind: 'serve',
      replayFrom: { offset: 50, maxTime: null },
    })
  })
})

describe('a definition that looks back further, long after the base was deleted', () => {
  const old: CommitMetadata = {
    ...metadata,
    anchors: [
      { offset: 60, maxTime: 700_000 },
      { offset: 80, maxTime: 900_000 },
    ],
  }
  const changed = {
    ...facts,
    committed: { offset: 100, metadata: encodeMetadata(old) },
    watermarks: [null],
    log: { start: 30, end: 120 },
  }
  const longer = { ...policy, stateHash: 'another', visibleSpanMs: 400_000 }

  test('starts at the log start where all that was deleted is out of sight', () => {
    // 1 000 000 − 400 000: nothing at or before 600 000 is seen, and events may be ahead of their records by 5 000.
    expect(planTakeover({ ...changed, oldestTimestamp: 595_000 }, longer)).toMatchObject({
      kind: 'serve',
      replayFrom: { offset: 30, maxTime: null },
    })
    expect(codeOf(() => planTakeover({ ...changed, oldestTimestamp: 595_001 }, longer))).toBe(
      'OFFSET_BELOW_LOG',
    )
    expect(codeOf(() => planTakeover({ ...changed, oldestTimestamp: null }, longer))).toBe('OFFSET_BELOW_LOG')
    // An anchor inside the log is nearer.
    const enough = { ...longer, visibleSpanMs: 200_000 }
    expect(planTakeover({ ...changed, oldestTimestamp: 400_000 }, enough)).toMatchObject({
      replayFrom: { offset: 60 },
    })
  })

  test('misses records that were deleted before for as long as its own windows see them', () => {
    const missing = { ...old, incarnation: 'inc@700000', gapUntil: 900_000, base: 60, anchors: [] }
    const metadata = encodeMetadata(missing)
    const gone = { ...changed, committed: { offset: 100, metadata }, log: { start: 60, end: 120 } }
    const gapUntil = 700_000 + longer.visibleSpanMs
    expect(planTakeover(gone, longer)).toMatchObject({ kind: 'serve', metadata: { gapUntil } })
    // Shorter windows do not shorten what was said before.
    const shorter = { ...longer, visibleSpanMs: 100_000 }
    expect(planTakeover(gone, shorter)).toMatchObject({ metadata: { gapUntil: 900_000 } })
  })

  test('asks when the oldest record was written; the same definition does not', () => {
    expect(missesRecords(changed, longer)).toBe(true)
    expect(missesRecords(changed, policy)).toBe(false)
    expect(missesRecords({ ...changed, log: { start: 0, end: 120 } }, longer)).toBe(false)
    expect(missesRecords({ ...changed, log: { start: 61, end: 120 } }, policy)).toBe(true)
    expect(missesRecords({ ...changed, log: { start: 101, end: 120 } }, policy)).toBe(true)
    expect(missesRecords({ ...changed, committed: null }, policy)).toBe(false)
  })
})

describe('foreign offsets', () => {
  test.each([
    ['metadata of another tool', { committed: { offset: 100, metadata: '' } }],
    ['another cluster', { clusterId: 'elsewhere' }],
    ['a moved offset', { committed: { offset: 90, metadata: encodeMetadata(metadata) } }],
    ['an offset beyond the log', { log: { start: 0, end: 99 } }],
    ['a log found to differ while replaying', { foreignLog: 'the record at 99 differs' }],
  ])('%s: rebuilt under a new incarnation, or refused, as the policy says', (_, change) => {
    const changed = { ...facts, ...change }
    expect(planTakeover(changed, policy)).toMatchObject({ kind: 'pin', metadata: { base: 0 } })
    expect(codeOf(() => planTakeover(changed, { ...policy, onForeignOffset: 'refuse' }))).toBe(
      'OFFSET_FOREIGN',
    )
  })

  test('a committed offset below the log start is refused, or accepted with flagged predictions', () => {
    const gone = { ...facts, log: { start: 110, end: 120 }, oldestTimestamp: 1_100_000 }
    expect(codeOf(() => planTakeover(gone, policy))).toBe('OFFSET_BELOW_LOG')
    expect(planTakeover(gone, { ...policy, onLogGone: 'accept-gap' })).toMatchObject({
      kind: 'pin',
      // Deleted unread: events up to 1 100 000 + 5 000.
      metadata: { start: 110, base: 110, gapUntil: 1_305_000, incarnation: lostIn(1_105_000) },
    })
    const lostBefore = { ...metadata, incarnation: 'inc@1200000' }
    const again = { ...gone, committed: { offset: 100, metadata: encodeMetadata(lostBefore) } }
    expect(planTakeover(again, { ...policy, onLogGone: 'accept-gap' })).toMatchObject({
      metadata: { gapUntil: 1_400_000, incarnation: lostIn(1_200_000) },
    })
  })

  test('state that needs deleted records is refused, or built from what is left with flagged predictions', () => {
    const short = { ...facts, watermarks: [null], log: { start: 65, end: 120 } }
    expect(codeOf(() => planTakeover(short, policy))).toBe('OFFSET_BELOW_LOG')
    expect(planTakeover(short, { ...policy, onLogGone: 'accept-gap' })).toMatchObject({
      kind: 'pin',
      metadata: { start: 100, base: 65, gapUntil: 1_200_000, incarnation: lostIn(1_000_000) },
    })
  })

  test('an old backup of Redis from before the log start is rebuilt from what windows can still see', () => {
    const backup = encodeWatermark({ ...watermark, offset: 10 })
    const plan = planTakeover({ ...facts, watermarks: [backup], log: { start: 15, end: 120 } }, policy)
    expect(plan).toMatchObject({ kind: 'serve', buckets: [{ rebuild: true }], replayFrom: { offset: 20 } })
  })
})
