/**
 * The features by their definition, from the logs alone: which events change state, what a row is, and what it must have
 * seen. Shares no code with src/features and src/pipeline, only types.
 */
import type { AggregateSpec, FeatureSpec, FeaturesSpec } from '../../src/features/spec.ts'
import { oracleRow, type OracleRow } from '../support/feature-oracle.ts'
import type { LoggedRecord } from './log.ts'
import { scored, type DrawnSource, type DrawnTopology } from './topology.ts'

export type WindowedFeature = AggregateSpec

/** A record with what the log before it in its partition makes of it. */
export interface Judged extends LoggedRecord {
  /** It changes state. */
  readonly applied: boolean
  readonly late: boolean
  readonly lateBeforeMs: number
  /** Less behind than the source's outOfOrder, if it says anything; with 0 at most of the same millisecond as what came before. */
  readonly promised: boolean
}

/** An undeclared outOfOrder (docs/topology.md), ms. */
const outOfOrderDefaultMs = 60_000

export function judge(topology: DrawnTopology, log: readonly LoggedRecord[]): readonly Judged[] {
  const sources = new Map(topology.sources.map((source) => [source.name, source]))
  const maxTimes = new Map<string, number>()
  return log.map((record) => {
    const before = maxTimes.get(record.input) ?? -Infinity
    maxTimes.set(record.input, Math.max(before, record.event.time))
    return { ...record, ...verdict(topology.spec, sources.get(record.source)!, record.event.time, before) }
  })
}

function verdict(
  spec: FeaturesSpec,
  source: DrawnSource,
  time: number,
  maxTime: number,
): Pick<Judged, 'applied' | 'late' | 'lateBeforeMs' | 'promised'> {
  const { outOfOrderMs, allowedLatenessMs, late: policy, name } = source
  const watermark = maxTime - (outOfOrderMs ?? outOfOrderDefaultMs)
  const visible = time > watermark - reachOf(spec, ({ from }) => from === name)
  const late = allowedLatenessMs !== null && time < watermark - allowedLatenessMs
  return {
    late,
    applied: !late || (policy === 'score' && visible),
    lateBeforeMs: watermark - (allowedLatenessMs ?? reachOf(spec, () => true)),
    promised: outOfOrderMs === null || time > maxTime - Math.max(1, outOfOrderMs),
  }
}

export function isWindowed(feature: FeatureSpec): feature is WindowedFeature {
  return feature.kind !== 'ratio'
}

/** How far back some features look; whole ms, so a closed left edge is one more. */
function reachOf({ features }: FeaturesSpec, isMeant: (feature: WindowedFeature) => boolean): number {
  const reaches = features.flatMap((feature) => {
    if (!isWindowed(feature) || !isMeant(feature)) return []
    return [feature.windowMs + feature.delayMs + (feature.edges.startsWith('[') ? 1 : 0)]
  })
  return Math.max(0, ...reaches)
}

/** What a column is read from: `own`: its own partition only; `delayed`: complete by definition; `now`: as far as flushed. */
export type ColumnKind = 'own' | 'delayed' | 'now'

export function kindOf(spec: FeaturesSpec, name: string): ColumnKind {
  const feature = spec.features.find((candidate) => candidate.name === name)
  if (feature === undefined) return 'own'
  if (feature.kind === 'ratio') {
    const kinds = new Set([kindOf(spec, feature.of), kindOf(spec, feature.to)])
    return kinds.has('now') ? 'now' : kinds.has('delayed') ? 'delayed' : 'own'
  }
  if (!isShared(spec, feature)) return 'own'
  return feature.delayMs > 0 ? 'delayed' : 'now'
}

/** Whether other partitions than the event's own feed it. */
function isShared(spec: FeaturesSpec, { over, from }: WindowedFeature): boolean {
  return from !== scored || spec.entities.some(({ name, merge }) => name === over && merge)
}

/** The columns that a column is computed from. */
export function windowsOf(spec: FeaturesSpec, name: string): readonly WindowedFeature[] {
  const feature = spec.features.find((candidate) => candidate.name === name)
  if (feature === undefined) return []
  return isWindowed(feature) ? [feature] : [...windowsOf(spec, feature.of), ...windowsOf(spec, feature.to)]
}

/** Records of other partitions that a window of the row holds, if the log says all: wherever they stand, and whenever they came. */
export function windowOf(
  spec: FeaturesSpec,
  feature: WindowedFeature,
  at: Judged,
  records: readonly Judged[],
): readonly Judged[] {
  const keys = spec.entities.find(({ name }) => name === feature.over)!.keys
  if (!isShared(spec, feature) || keys.some((key) => at.event.fields[key] === null)) return []
  const reachMs = reachOf(spec, ({ over, from }) => over === feature.over && from === feature.from)
  // A late event looks back no further than one that is just not late.
  const floor = Math.max(at.event.time, at.lateBeforeMs) - reachMs
  const end = at.event.time - feature.delayMs
  const begin = end - feature.windowMs
  const [opens, closes] = [feature.edges[0], feature.edges[1]]
  return records.filter(({ source, input, applied, event: { time, fields } }) => {
    if (source !== feature.from || input === at.input || !applied || time <= floor) return false
    if (keys.some((key) => fields[key] !== at.event.fields[key])) return false
    return (opens === '[' ? time >= begin : time > begin) && (closes === ']' ? time <= end : time < end)
  })
}

/** A condition that is asked of the event is in error: those of windows that it is put into. */
export function isInError({ features, entities }: FeaturesSpec, { applied, event }: Judged): boolean {
  let failed = false
  const failures = { failed: () => (failed = true) }
  for (const feature of features) {
    if (!applied || !isWindowed(feature) || feature.from !== scored) continue
    const keys = entities.find(({ name }) => name === feature.over)!.keys
    if (keys.every((key) => event.fields[key] !== null)) feature.where?.test(event, failures)
  }
  return failed
}

/** Offsets below which other partitions were visible. */
export interface Visible {
  readonly watermarks: Readonly<Record<string, number>>
  /** Entity → the same, where it saw more. */
  readonly byEntity: Readonly<Record<string, Readonly<Record<string, number>>>>
}

export function sees({ watermarks, byEntity }: Visible, entity: string, { input, raw }: Judged): boolean {
  return raw.offset < (byEntity[entity]?.[input] ?? watermarks[input] ?? 0)
}

export function rowOf(
  spec: FeaturesSpec,
  at: Judged,
  records: readonly Judged[],
  { watermarks, byEntity }: Visible,
): OracleRow {
  return oracleRow({
    spec,
    events: records,
    at,
    visible: new Map(Object.entries(watermarks)),
    visibleTo: byEntity,
    applied: (logged) => (logged as Judged).applied,
    lateBeforeMs: at.lateBeforeMs,
  })
}

/** The records that share a key with a given one: no other can matter to its row. */
export function indexed(records: readonly Judged[]): (at: Judged) => readonly Judged[] {
  const byKey = (key: string): Map<unknown, Judged[]> =>
    Map.groupBy(records, ({ event }) => event.fields[key])
  const [customers, terminals] = [byKey('customer'), byKey('terminal')]
  return ({ event: { fields } }) => {
    const sameTerminal = fields['terminal'] === null ? [] : (terminals.get(fields['terminal']) ?? [])
    return [...new Set([...(customers.get(fields['customer']) ?? []), ...sameTerminal])]
  }
}
