import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { quarantineMax } from '../../../src/pipeline/attempt.ts'
import {
  advanceAnchors,
  encodeMetadata,
  metadataMaxBytes,
  parseMetadata,
  rebuildAnchor,
  recordDigest,
  thinAnchors,
  type Anchor,
  type CommitMetadata,
} from '../../../src/pipeline/metadata.ts'

const metadata: CommitMetadata = {
  incarnation: 'a1b2c3d4',
  stateHash: '0123456789abcdef',
  clusterId: 'cluster',
  offset: 42,
  last: { offset: 41, digest: 'ffeeddccbbaa9988' },
  maxTime: 1_752_000_000_000,
  start: 3,
  base: 0,
  anchors: [{ offset: 10, maxTime: 1_751_000_000_000 }],
  quarantine: [17],
  gapUntil: null,
}

describe('commit metadata', () => {
  test('what was written is read back', () => {
    expect(parseMetadata(encodeMetadata(metadata))).toEqual(metadata)
  })

  test('the note of an attempt is read back, and nothing is written where there is none', () => {
    const attempt = { to: 99, tries: 2, alone: true, convicted: 1 }
    expect(parseMetadata(encodeMetadata({ ...metadata, attempt }))).toEqual({ ...metadata, attempt })
    expect(encodeMetadata({ ...metadata, attempt: null })).toBe(encodeMetadata(metadata))
  })

  test('the window of the dead-letter share is read back; metadata of earlier versions has none', () => {
    const deadLetters = { records: 999, dead: 998 }
    expect(parseMetadata(encodeMetadata({ ...metadata, deadLetters }))).toEqual({ ...metadata, deadLetters })
    expect(encodeMetadata(metadata)).not.toContain('"d"')
    expect(parseMetadata(encodeMetadata(metadata))?.deadLetters).toBeUndefined()
  })

  test('stays below the size with a full quarantine, at offsets of a topic that is as old as Kafka', () => {
    const at = (i: number): number => 1e14 + i * 1e9
    const quarantine = Array.from({ length: quarantineMax }, (_, i) => at(i))
    const anchors = Array.from({ length: 36 }, (_, i) => ({ offset: at(i), maxTime: 1.7e12 + i }))
    const attempt = { to: at(99), tries: 2, alone: true, convicted: 8 }
    const deadLetters = { records: 2_000_000, dead: 2_000_000 }
    const text = encodeMetadata({ ...metadata, anchors, quarantine, attempt, deadLetters })
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(metadataMaxBytes)
    expect(parseMetadata(text)).toMatchObject({ quarantine, attempt, deadLetters })
    expect(parseMetadata(text)?.anchors.length).toBeGreaterThan(2)
  })

  test('stays below the size brokers accept, whatever the number of anchors, and keeps the oldest', () => {
    const anchors = Array.from({ length: 500 }, (_, i) => ({ offset: 1e12 + i, maxTime: 1.7e12 + i }))
    const text = encodeMetadata({ ...metadata, anchors })
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(metadataMaxBytes)
    expect(parseMetadata(text)?.anchors[0]).toEqual(anchors[0])
  })

  test('text of another tool is recognised as foreign, never an exception', () => {
    for (const text of ['', 'null', '{}', '[1]', '{"v":2}', 'consumer-lag-tool', '{"v":1,"i":5}']) {
      expect(parseMetadata(text)).toBeNull()
    }
    fc.assert(
      fc.property(fc.string(), (text) => {
        parseMetadata(text)
      }),
    )
  })

  test('a record that differs in key, value or timestamp has another digest', () => {
    const record = {
      topic: 't',
      partition: 0,
      offset: 1,
      timestamp: 5,
      key: Buffer.from('k'),
      value: Buffer.from('v'),
      headers: [],
    }
    const digests = [
      record,
      { ...record, timestamp: 6 },
      { ...record, key: Buffer.from('kv'), value: Buffer.from('') },
      { ...record, key: null, value: Buffer.from('kv') },
      { ...record, value: null },
    ].map(recordDigest)
    expect(new Set(digests).size).toBe(digests.length)
  })
})

describe('anchors', () => {
  const spanMs = 3_200

  test('a rebuild from any kept anchor set sees every visible event', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -500, max: 2_000 }), { minLength: 1, maxLength: 300 }),
        (steps) => {
          let anchors: readonly Anchor[] = [{ offset: 0, maxTime: null }]
          let time = 1_000_000
          let maxTime = -Infinity
          const times: number[] = []
          for (const [index, step] of steps.entries()) {
            time += step
            times.push(time)
            maxTime = Math.max(maxTime, time)
            anchors = advanceAnchors(anchors, { offset: index + 1, maxTime }, maxTime - spanMs, spanMs)
          }
          const visibleFrom = maxTime - spanMs
          const from = rebuildAnchor(anchors, visibleFrom, 0)
          // Nothing before the start of the rebuild is visible …
          expect(times.slice(0, from.offset).every((t) => t <= visibleFrom)).toBe(true)
          // … and the largest time before it is known.
          expect(from.maxTime ?? -Infinity).toBe(Math.max(-Infinity, ...times.slice(0, from.offset)))
          expect(anchors.length).toBeLessThanOrEqual(36)
        },
      ),
    )
  })

  test('without an anchor old enough, or when it is not known what readers see, a rebuild starts at the oldest', () => {
    const anchors = [
      { offset: 9, maxTime: 100 },
      { offset: 12, maxTime: 120 },
    ]
    expect(rebuildAnchor(anchors, 99, 4)).toEqual({ offset: 9, maxTime: 100 })
    expect(rebuildAnchor(anchors, null, 4)).toEqual({ offset: 9, maxTime: 100 })
    expect(rebuildAnchor([], null, 4)).toEqual({ offset: 4, maxTime: null })
  })

  test('thinning never drops the oldest', () => {
    const anchors = Array.from({ length: 9 }, (_, i) => ({ offset: i, maxTime: i }))
    expect(thinAnchors(anchors)[0]).toEqual(anchors[0])
    expect(thinAnchors(anchors).length).toBeLessThan(anchors.length)
  })
})
