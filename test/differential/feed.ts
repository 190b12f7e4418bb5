import type { Dice } from '../simulation/dice.ts'
import { epochMs } from '../simulation/scheduler.ts'
import { scored, type DrawnSource, type DrawnTopology } from './topology.ts'

export type Fields = Readonly<Record<string, string | number | boolean | null>>

/** A record and when it is appended. */
export interface Upload {
  readonly id: string
  readonly source: string
  readonly partition: number
  /** Event time, epoch ms. */
  readonly time: number
  readonly fields: Fields
  /** Record timestamp, epoch ms. */
  readonly timestamp: number
  /** Virtual ms; negative: before any process starts. */
  readonly atMs: number
}

/** A record that waits for its place in the order of upload. */
interface Made {
  readonly source: string
  readonly partition: number
  readonly time: number
  readonly fields: Fields
  /** When it became known in the world that the records tell of; event time, ms. */
  readonly knownAt: number
}

/** Records of one run, in the order in which they are appended; each partition's in its own order. */
export function drawFeed(dice: Dice, topology: DrawnTopology, size: number): readonly Upload[] {
  const { sources, unitMs } = topology
  const begin = epochMs - dice.pick([40 * unitMs, 40 * unitMs, 86_400_000 * 30, 86_400_000 * 1_000])
  const events = inThePast(drawEvents(dice, topology, begin, size), unitMs)
  const states = sources.filter(({ name }) => name !== scored)
  const labels = states.flatMap((source) => drawLabels(dice, topology, source, events))
  const ordered = firstOfEach(orderOf(dice, topology, events, labels))
  return timed(dice, ordered)
}

/** Moved back by whole units: the service refuses what is later than its clock. */
function inThePast(events: readonly Made[], unitMs: number): readonly Made[] {
  const ahead = Math.max(...events.map(({ time }) => time)) - epochMs
  const backMs = unitMs * Math.max(0, Math.ceil(ahead / unitMs))
  return events.map((event) => ({ ...event, time: event.time - backMs, knownAt: event.knownAt - backMs }))
}

const customers = 5
const terminals = 3

function fieldsOf(dice: Dice): Fields {
  return {
    customer: `c${dice.below(customers)}`,
    terminal: dice.chance(0.05) ? null : `t${dice.below(terminals)}`,
    country: dice.pick(['at', 'de']),
    amount: dice.chance(0.05) ? null : dice.between(1, 40),
    quarters: dice.between(-40, 40) / 4,
    fraud: dice.chance(0.4),
    night: dice.chance(0.3),
  }
}

/** Customers keep to their partition, terminals do not. */
function partitionOf({ partitions }: DrawnSource, fields: Fields): number {
  return Number(String(fields['customer']).slice(1)) % partitions
}

function drawEvents(
  dice: Dice,
  { sources, unitMs }: DrawnTopology,
  begin: number,
  size: number,
): readonly Made[] {
  const source = sources.find(({ name }) => name === scored)!
  const grid = unitMs / 4
  const disorderMs = source.outOfOrderMs ?? 0
  const pace = dice.pick([2, 6, 14])
  let at = begin
  return Array.from({ length: dice.between(6, size) }, (): Made => {
    if (!dice.chance(0.3)) at += grid * dice.between(0, pace)
    const isLate = dice.chance(0.06)
    const back = isLate ? dice.between(0, 60) * grid : dice.chance(0.3) ? onGrid(dice, disorderMs, grid) : 0
    const fields = fieldsOf(dice)
    return { source: scored, partition: partitionOf(source, fields), time: at - back, fields, knownAt: at }
  })
}

/** At most `ms`, and often exactly as much. */
function onGrid(dice: Dice, ms: number, grid: number): number {
  return dice.chance(0.3) ? ms : grid * dice.between(0, Math.floor(ms / grid))
}

/** Most labels say something of an event, at its time; they come in the order in which they become known. */
function drawLabels(
  dice: Dice,
  { unitMs }: DrawnTopology,
  source: DrawnSource,
  events: readonly Made[],
): readonly Made[] {
  const lagMs = unitMs * dice.pick([0, 1, 4, 12])
  const spreadMs = dice.pick([0, source.outOfOrderMs ?? 0, 3 * unitMs, 16 * unitMs])
  const share = dice.pick([0.2, 0.7, 1])
  const labels = events.flatMap((event): Made[] => {
    if (!dice.chance(share)) return []
    const own = dice.chance(0.85) ? { ...event.fields, fraud: dice.chance(0.5) } : fieldsOf(dice)
    const copies = dice.chance(0.08) ? 2 : 1 // delivered twice, as labels are
    return Array.from({ length: copies }, () => ({
      source: source.name,
      partition: partitionOf(source, own),
      time: event.time,
      fields: own,
      knownAt: event.time + lagMs + onGrid(dice, spreadMs, unitMs / 4),
    }))
  })
  return labels.toSorted((a, b) => a.knownAt - b.knownAt)
}

// --- the order of upload --------------------------------------------------------------------------------------------

function orderOf(
  dice: Dice,
  topology: DrawnTopology,
  events: readonly Made[],
  labels: readonly Made[],
): readonly Made[] {
  switch (dice.pick(['events first', 'labels first', 'as known', 'just in time', 'just in time', 'any'])) {
    case 'events first':
      return [...events, ...labels]
    case 'labels first':
      return [...labels, ...events]
    case 'as known':
      return [...labels, ...events].toSorted((a, b) => a.knownAt - b.knownAt)
    case 'just in time':
      return justInTime(topology, events, labels)
    default:
      return anyOrder(dice, [...events, ...labels])
  }
}

/** Each label right before the first event that needs it. */
function justInTime(
  { spec }: DrawnTopology,
  events: readonly Made[],
  labels: readonly Made[],
): readonly Made[] {
  const waiting = [...labels]
  const delayOf = (source: string): number => {
    const delays = spec.features.flatMap((feature) =>
      feature.kind !== 'ratio' && feature.from === source && feature.delayMs > 0 ? [feature.delayMs] : [],
    )
    return delays.length === 0 ? 0 : Math.min(...delays)
  }
  const delays = new Map(labels.map(({ source }) => [source, delayOf(source)]))
  const ordered = events.flatMap((event): Made[] => {
    const due = waiting.filter(({ source, time }) => time <= event.time - delays.get(source)!)
    for (const label of due) waiting.splice(waiting.indexOf(label), 1)
    return [...due, event]
  })
  return [...ordered, ...waiting]
}

/** Partitions in whatever order, in bursts. */
function anyOrder(dice: Dice, all: readonly Made[]): readonly Made[] {
  const queues = [...Map.groupBy(all, ({ source, partition }) => `${source}:${partition}`).values()]
  const ordered: Made[] = []
  for (let left = queues; left.length > 0; left = left.filter((queue) => queue.length > 0)) {
    ordered.push(...dice.pick(left).splice(0, dice.pick([1, 1, 4, 20])))
  }
  return ordered
}

/**
 * The first of every scored partition stands in front of all others: one that had no event while others went on does
 * not keep what only its first events could see (docs/features.md).
 */
function firstOfEach(ordered: readonly Made[]): readonly Made[] {
  const firsts = new Map<number, Made>()
  for (const made of ordered) {
    if (made.source === scored && !firsts.has(made.partition)) firsts.set(made.partition, made)
  }
  return [...firsts.values(), ...ordered.filter((made) => firsts.get(made.partition) !== made)]
}

function timed(dice: Dice, ordered: readonly Made[]): readonly Upload[] {
  const partitions = new Set(
    ordered.flatMap(({ source, partition }) => (source === scored ? [partition] : [])),
  )
  const backlog = Math.max(partitions.size, Math.round(ordered.length * dice.pick([0, 0.3, 0.7, 1, 1])))
  const gapMs = dice.pick([0, 2, 15, 40])
  const pauses = dice.pick([0, 0, 0.04])
  const uploadGapMs = dice.pick([0, 1, 1_000])
  const stampedBy = dice.pick(['upload', 'upload', 'event', 'known'])
  const counts = new Map<string, number>()
  let atMs = 0
  return ordered.map((made, index): Upload => {
    const { source, partition, time, fields, knownAt } = made
    const isBacklog = index < backlog
    if (!isBacklog) atMs += dice.chance(pauses) ? 900 : dice.between(0, 2 * gapMs)
    const when = isBacklog ? (index - backlog) * uploadGapMs : atMs
    const timestamp =
      stampedBy === 'upload' ? epochMs + when : stampedBy === 'event' ? time : Math.max(time, knownAt)
    const place = `${source}-${partition}`
    const nth = counts.get(place) ?? 0
    counts.set(place, nth + 1)
    const id = `${place}-${nth}`
    return { id, source, partition, time, fields, timestamp, atMs: isBacklog ? -1 : atMs }
  })
}

/** The records that stay when only some are kept. */
export function onlyThese(
  uploads: readonly Upload[],
  kept: readonly string[] | undefined,
): readonly Upload[] {
  if (kept === undefined) return uploads
  const ids = new Set(kept)
  return uploads.filter(({ id, source }) => ids.has(id) || (source === scored && id.endsWith('-0')))
}
