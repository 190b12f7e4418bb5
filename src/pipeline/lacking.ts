/** What a prediction had to have read of other partitions. Pure. */
import type { Layout, PartLog } from '../features/compiled.ts'
import type { AggregateSpec } from '../features/spec.ts'
import { reachOf } from '../features/window.ts'
import type { Event } from '../record/event.ts'
import type { Prediction } from '../record/prediction.ts'
import type { Plan } from '../topology/plan.ts'
import type { MergedRead } from './peers.ts'

/** A partition of which a prediction saw less than a window needs. */
export interface Lack {
  readonly feature: string
  /** `topic:partition` */
  readonly input: string
  /** Offset below which the prediction saw it, and the one below which it had to. */
  readonly held: number
  readonly needed: number
}

/** What a prediction says that it saw. */
export type Sight = Pick<Prediction, 'watermarks' | 'entityWatermarks'>

/** The partitions that a row is computed from. */
export interface OtherParts {
  readonly merged: readonly MergedRead[]
  logOf(layout: Layout, input: string, entityKey: string): PartLog | null
  /** Since when a record stood in the log, epoch ms; Infinity: it need not have been read. */
  stoodAt(input: string, offset: number): number
}

/**
 * A window with a delay holds what stood in other logs before the event was written (by record timestamps), and lies
 * where the window looks. Of that, what the prediction had not read.
 */
export function lacksOf(
  { features, featuresSpec }: Plan,
  others: OtherParts,
  event: Event,
  ownInput: string,
  sight: Sight,
): readonly Lack[] {
  const found: Lack[] = []
  const delayed = featuresSpec.features.filter(
    (feature): feature is AggregateSpec => feature.kind !== 'ratio' && feature.delayMs > 0,
  )
  for (const feature of delayed) {
    const read = others.merged.find(({ layout }) => isRead(layout, feature, featuresSpec.scored))
    const key = read === undefined ? null : features.entityKey(read.layout, event)
    if (read === undefined || key === null) continue
    const { reachMs, lagMs } = reachOf(feature)
    for (const input of read.inputs) {
      const log = input === ownInput ? null : others.logOf(read.layout, input, key)
      if (log === null) continue
      const held = heldOf(sight, feature.over, input)
      const lacking = (offset: number): boolean =>
        offset >= held && others.stoodAt(input, offset) < event.raw.timestamp
      const needed = features
        .offsetsWithin(log, event.time - reachMs, event.time - lagMs)
        .reduce((most, offset) => (lacking(offset) ? Math.max(most, offset + 1) : most), 0)
      if (needed > 0) found.push({ feature: feature.name, input, held, needed })
    }
  }
  return found
}

/** Features with and without a delay may have layouts of their own. */
function isRead({ entity, source, delayed }: Layout, { over, from }: AggregateSpec, scored: string): boolean {
  return entity === over && source === from && (delayed || source === scored)
}

function heldOf({ watermarks, entityWatermarks }: Sight, entity: string, input: string): number {
  return entityWatermarks?.[entity]?.[input] ?? watermarks?.[input] ?? 0
}
