import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { RawRecord } from '../record/raw-record.ts'
import type { Attempt } from './attempt.ts'
import type { DeadLetterCounts } from './dead-letter-share.ts'
import type { TimeBounds } from './time-bounds.ts'

/** A place where a rebuild may start: no event before `offset` is later than `maxTime`. */
export interface Anchor {
  readonly offset: number
  /** null: nothing before it. */
  readonly maxTime: number | null
}

/** Committed with the group offset, in the same transaction as the outputs. JSON, below 3 KB (brokers accept 4096 bytes by default). */
export interface CommitMetadata {
  readonly incarnation: string
  readonly stateHash: string
  readonly clusterId: string
  /** Equals the offset it is committed with; another value means somebody else moved the offset. */
  readonly offset: number
  /** The last consumed record, to recognise another log under the same name; null before the first. */
  readonly last: { readonly offset: number; readonly digest: string } | null
  /** Largest event time below `offset`, epoch ms. */
  readonly maxTime: number | null
  /** First offset that yields predictions. */
  readonly start: number
  /** First offset that state may be built from. */
  readonly base: number
  readonly anchors: readonly Anchor[]
  /** Offsets that are neither applied nor scored. */
  readonly quarantine: readonly number[]
  /** Predictions carry the flag `gap` while the largest event time is at or below this; null: no gap. */
  readonly gapUntil: number | null
  /** Work begun at `offset` and not acknowledged; absent in all but the first moments of an ownership. */
  readonly attempt?: Attempt | null
  /** Partitions of the topic; absent in metadata of earlier versions. */
  readonly partitions?: PartitionCounts | null
  /** The window of the dead-letter share; absent before the first slice and in metadata of earlier versions. */
  readonly deadLetters?: DeadLetterCounts
  /** Which event times were refused for lying in the future; absent in metadata of earlier versions. */
  readonly times?: TimeBounds
}

/** Tells a partition that was added later from one that was there from the beginning. */
export interface PartitionCounts {
  /** When the group began with the topic; 0 when the topic was deleted and created again since. */
  readonly first: number
  /** As accepted last (store.onPartitionsAdded). */
  readonly accepted: number
}

const version = 1
export const metadataMaxBytes = 3072

export function encodeMetadata(m: CommitMetadata): string {
  const { attempt, partitions, deadLetters, times } = m
  const text = JSON.stringify({
    v: version,
    i: m.incarnation,
    h: m.stateHash,
    k: m.clusterId,
    o: m.offset,
    l: m.last === null ? null : [m.last.offset, m.last.digest],
    t: m.maxTime,
    s: m.start,
    b: m.base,
    a: m.anchors.map((anchor) => [anchor.offset, anchor.maxTime]),
    q: m.quarantine,
    g: m.gapUntil,
    ...(partitions ? { n: [partitions.first, partitions.accepted] } : {}),
    ...(attempt ? { p: [attempt.to, attempt.tries, attempt.alone ? 1 : 0, attempt.convicted] } : {}),
    ...(deadLetters ? { d: [deadLetters.records, deadLetters.dead] } : {}),
    ...(times ? { u: [times.refusedFrom, times.steps.map((step) => [step.offset, step.until])] } : {}),
  })
  return text.length <= metadataMaxBytes || m.anchors.length === 0
    ? text
    : encodeMetadata({ ...m, anchors: thinAnchors(m.anchors) })
}

const offset = z.int().nonnegative()
const time = z.number().nullable()
const wireForm = z.object({
  v: z.literal(version),
  i: z.string(),
  h: z.string(),
  k: z.string(),
  o: offset,
  l: z.tuple([offset, z.string()]).nullable(),
  t: time,
  s: offset,
  b: offset,
  a: z.array(z.tuple([offset, time])),
  q: z.array(offset),
  g: time,
  p: z.tuple([offset, offset, z.literal([0, 1]), offset]).optional(),
  n: z.tuple([offset, offset]).optional(),
  d: z.tuple([offset, offset]).optional(),
  u: z.tuple([time, z.array(z.tuple([offset, z.number()]))]).optional(),
})

/** Null when the text was not written by this program (another tool moved the offset). */
export function parseMetadata(text: string): CommitMetadata | null {
  let written: unknown
  try {
    written = JSON.parse(text)
  } catch {
    return null
  }
  const { success, data } = wireForm.safeParse(written)
  if (!success) return null
  return {
    incarnation: data.i,
    stateHash: data.h,
    clusterId: data.k,
    offset: data.o,
    last: data.l === null ? null : { offset: data.l[0], digest: data.l[1] },
    maxTime: data.t,
    start: data.s,
    base: data.b,
    anchors: data.a.map(([at, maxTime]) => ({ offset: at, maxTime })),
    quarantine: data.q,
    gapUntil: data.g,
    ...(data.p ? { attempt: attemptOf(data.p) } : {}),
    ...(data.n ? { partitions: { first: data.n[0], accepted: data.n[1] } } : {}),
    ...(data.d ? { deadLetters: { records: data.d[0], dead: data.d[1] } } : {}),
    ...(data.u ? { times: timesOf(data.u) } : {}),
  }
}

function attemptOf([to, tries, alone, convicted]: readonly [number, number, 0 | 1, number]): Attempt {
  return { to, tries, alone: alone === 1, convicted }
}

function timesOf([refusedFrom, steps]: readonly [
  number | null,
  readonly (readonly [number, number])[],
]): TimeBounds {
  return { refusedFrom, steps: steps.map(([from, until]) => ({ offset: from, until })) }
}

/** Identity of a record's content, 16 hex characters. */
export function recordDigest(record: RawRecord): string {
  const hash = createHash('sha1')
  hash.update(`${record.timestamp}|${record.key?.length ?? -1}|`)
  if (record.key) hash.update(record.key)
  if (record.value) hash.update(record.value)
  return hash.digest('hex').slice(0, 16)
}

const anchorsPerHorizon = 32

/**
 * Adds an anchor when event time moved on by a 32nd of the visible span, and forgets those no rebuild needs:
 * the newest anchor at or before `visibleFrom` is kept, all older ones go.
 */
export function advanceAnchors(
  anchors: readonly Anchor[],
  candidate: Anchor,
  visibleFrom: number,
  visibleSpanMs: number,
): readonly Anchor[] {
  const newest = anchors.at(-1)
  const due =
    newest === undefined ||
    (candidate.maxTime !== null &&
      candidate.maxTime - (newest.maxTime ?? -Infinity) >= visibleSpanMs / anchorsPerHorizon)
  let kept = anchors
  if (due && candidate.offset > (newest?.offset ?? -1)) kept = [...anchors, candidate]
  const firstNeeded = kept.findLastIndex((anchor) => (anchor.maxTime ?? -Infinity) <= visibleFrom)
  return firstNeeded > 0 ? kept.slice(firstNeeded) : kept
}

/** Halves the list, keeping the oldest and the newest: rebuilds start earlier than needed, never later. */
export function thinAnchors(anchors: readonly Anchor[]): readonly Anchor[] {
  if (anchors.length <= 2) return anchors.slice(0, anchors.length - 1)
  return anchors.filter((_, index) => index % 2 === 0 || index === anchors.length - 1)
}

/**
 * Where a rebuild has to start so that every event later than `visibleFrom` is seen. Null (it is not known what readers see), or
 * what an old backup of Redis says of them: the oldest anchor, since none is forgotten that a reader may need.
 */
export function rebuildAnchor(anchors: readonly Anchor[], visibleFrom: number | null, base: number): Anchor {
  const newest =
    visibleFrom === null
      ? undefined
      : anchors.findLast((candidate) => (candidate.maxTime ?? -Infinity) <= visibleFrom)
  const anchor = newest ?? anchors[0]
  if (anchor && anchor.offset >= base) return anchor
  return { offset: base, maxTime: null }
}
