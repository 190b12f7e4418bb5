import type { CompiledFeatures, Layout, PartLog } from '../../src/features/compiled.ts'
import type { MemoryStore } from '../../src/features/memory-store.ts'
import { offsetColumn, type Part } from '../../src/features/part-log.ts'
import { unwrapPart } from '../../src/pipeline/flusher.ts'
import { outageExceeded, parseWatermark, type Watermark } from '../../src/pipeline/watermark.ts'
import { inputName, type InputPartition } from '../../src/record/input.ts'
import type { Expected, ExpectedLogs } from './expected.ts'
import { skewMaxMs, type Account } from './ledger.ts'
import { allowedLatenessMs, outOfOrderMs, transactions } from './topology.ts'

export interface StoreCheckParts {
  readonly features: CompiledFeatures
  readonly store: MemoryStore
  readonly inputs: readonly InputPartition[]
  readonly logs: ExpectedLogs
  /** What the commits of an input say, now. */
  readonly account: (name: string) => Account | null
  /** Event time from which on an input finds all that the others stored. */
  readonly readTime: (name: string) => number
  /** Wall clock, epoch ms. */
  readonly now: () => number
  readonly outageMaxMs: number
  readonly violated: (what: string) => void
}

/** An owner asks for the end of the log when it takes over; what came until its first fetch it cannot know, ms. */
const noticedWithinMs = 6_000

/** Compares what Redis holds with the log: I5 and I6. */
export class StoreCheck {
  readonly #parts: StoreCheckParts

  constructor(parts: StoreCheckParts) {
    this.#parts = parts
  }

  /** I6 of one input and bucket, and whether "everything was read" is true, which alignment and trimming rely on. */
  checkWatermark(bucket: number, name: string, text: string): void {
    const { inputs, account, violated, logs } = this.#parts
    const watermark = parseWatermark(text)
    const committed = account(name)
    if (watermark === null || watermark.incarnation !== committed?.incarnation) return // begun, or an old one
    const { offset, caughtUpAt } = watermark
    if (offset > committed.position) {
      violated(`I6: W of ${name} bucket ${bucket} is ${offset}, committed is ${committed.position}`)
    }
    const input = inputs.find((candidate) => inputName(candidate) === name)!
    const unread = logs.of(input).find(({ raw }) => raw.offset >= offset)
    if (caughtUpAt > 0 && unread && unread.raw.timestamp < caughtUpAt - noticedWithinMs) {
      violated(
        `alignment: W ${offset} of ${name} claims that nothing is left, but offset ${unread.raw.offset} is`,
      )
    }
  }

  /** I5: each part of every trusted build holds the visible events below its W, no other, and none twice. */
  checkParts(): void {
    const { inputs, account, store, features, now, outageMaxMs } = this.#parts
    for (let bucket = 0; bucket < store.buckets; bucket++) {
      const watermarks = store.watermarksNow(bucket)
      for (const input of inputs) {
        const watermark = parseWatermark(watermarks.get(inputName(input)))
        if (watermark === null || watermark.incarnation !== account(inputName(input))?.incarnation) continue
        if (outageExceeded(watermark, now() + skewMaxMs, outageMaxMs)) continue // nobody trusts it any more
        for (const layout of features.layoutsFedBy(input.source)) {
          this.#checkLayout(input, layout, bucket, watermark)
        }
      }
    }
  }

  #checkLayout(input: InputPartition, layout: Layout, bucket: number, watermark: Watermark): void {
    const { features, store, logs, violated } = this.#parts
    const name = inputName(input)
    const floorMs = this.#floorMs(input, layout)
    for (const [entityKey, events] of entities(features, layout, logs.of(input))) {
      if (store.bucketOf(entityKey) !== bucket) continue
      const fold = features.newPart(layout)
      for (const { event, raw } of events) {
        if (raw.offset < watermark.offset && event) features.insert(layout, fold, event)
      }
      const { own } = store.loadNow(bucket, {
        inputName: name,
        own: [{ layout: layout.index, entityKey }],
        merged: [],
      })
      const bytes = unwrapPart(own[0] ?? null, watermark.build)
      const expected = visibleRows(fold, floorMs)
      const stored = bytes === null ? '' : visibleRows(features.decode(layout, bytes), floorMs)
      if (expected === stored) continue
      violated(
        `I5: ${layout.entity} ${entityKey} of ${name} at W ${watermark.offset} must hold ${expected || 'nothing'}, holds ${stored || 'nothing'}`,
      )
    }
  }

  /** Events at or before are invisible to every reader and may have been trimmed, or left out by a rebuild. */
  #floorMs(input: InputPartition, layout: Layout): number {
    const readers = this.#parts.inputs.filter(({ source }) => source === transactions)
    const ownOnly = !layout.shared
    const { account, readTime } = this.#parts
    const own = account(inputName(input))?.seenTime ?? -Infinity
    const counting = readers.filter((reader) => !this.#neverHadAny(reader))
    const times = ownOnly ? [] : counting.map((reader) => readTime(inputName(reader)))
    return Math.min(own, ...times) - outOfOrderMs - allowedLatenessMs - layout.horizonMs
  }

  /** Such a partition does not hold the others (docs/features.md): only records that were no events, and none are left. */
  #neverHadAny(reader: InputPartition): boolean {
    const { account, logs } = this.#parts
    const { seenTime = 0, position = 0 } = account(inputName(reader)) ?? {}
    return seenTime === -Infinity && logs.of(reader).every(({ raw }) => raw.offset < position)
  }
}

function entities(
  features: CompiledFeatures,
  layout: Layout,
  log: readonly Expected[],
): Map<string, Expected[]> {
  const byKey = new Map<string, Expected[]>()
  for (const expected of log) {
    const key = expected.event === null ? null : features.entityKey(layout, expected.event)
    if (key === null) continue
    const events = byKey.get(key) ?? []
    byKey.set(key, events)
    if (expected.applied) events.push(expected)
  }
  return byKey
}

/** Time, mask and values of each event later than `floorMs`, in order, as text. */
function visibleRows(log: PartLog, floorMs: number): string {
  const part = log as Part
  const rows: string[] = []
  for (let i = part.start; i < part.end; i++) {
    if (part.data[i]! <= floorMs) continue
    const row: number[] = []
    for (let column = 0; column < part.columnCount; column++) {
      if (column !== offsetColumn) row.push(part.data[column * part.capacity + i]!)
    }
    rows.push(row.join('/'))
  }
  return rows.join(' ')
}
