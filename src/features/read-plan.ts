import type { Finish, Reads } from './aggregates/aggregate.ts'
import { aggregateOf } from './aggregates/table.ts'
import { columnOf, predicateBit } from './layout.ts'
import type { LayoutPlan } from './layout.ts'
import type { Reader, Registers, Span, Tally } from './scan.ts'
import type { AggregateSpec, EventExpression, EventPredicate } from './spec.ts'
import { reachOf } from './window.ts'
import type { Cut, Reach } from './window.ts'
import { WindowLog } from './window-log.ts'
import type { Collection, LogWindow } from './window-log.ts'

/** What a row reads, with everything two features have in common read once. */
export interface ReadPlan {
  /** In the order of the layouts. */
  readonly readers: readonly Reader[]
  /** In the order of the windowed features. */
  readonly finishes: readonly Finish[]
  readonly registers: Registers
}

/** What to look for in one window. */
interface Query extends Reach {
  readonly layout: LayoutPlan
  readonly bit: number
  readonly column: number
  /** The bit is what is looked for, not a condition. */
  readonly isFlag: boolean
}

/** Distinct queries; the position of one is its slot in the registers. */
class Slots {
  readonly queries: Query[] = []
  private readonly byText = new Map<string, number>()

  slotOf(query: Query): number {
    const text = [nestOf(query), query.reachMs].join()
    let slot = this.byText.get(text)
    if (slot === undefined) {
      slot = this.queries.push(query) - 1
      this.byText.set(text, slot)
    }
    return slot
  }

  /** Queries of a layout that differ only in how far back they reach: one walk answers all of them. */
  nestsIn(layout: LayoutPlan): (readonly [slot: number, query: Query])[][] {
    const own = [...this.queries.entries()].filter(([, query]) => query.layout === layout)
    return [...Map.groupBy(own, ([, query]) => nestOf(query)).values()].map((nest) =>
      nest.toSorted(([, a], [, b]) => a.reachMs - b.reachMs),
    )
  }
}

function nestOf({ layout, lagMs, withoutCurrent, bit, column, isFlag }: Query): string {
  return [layout.index, lagMs, withoutCurrent, bit, column, isFlag].join()
}

/** What all features want read. */
class Wanted {
  readonly tallies = new Slots()
  readonly extremes = new Slots()
  readonly newest = new Slots()
  readonly oldest = new Slots()
  readonly logs = new Slots()

  get queries(): readonly Query[] {
    const { tallies, extremes, newest, oldest, logs } = this
    return [tallies, extremes, newest, oldest, logs].flatMap(({ queries }) => queries)
  }
}

export function planReads(layouts: readonly LayoutPlan[], features: readonly AggregateSpec[]): ReadPlan {
  const layoutOf = new Map(
    layouts.flatMap((layout) => layout.features.map((feature) => [feature, layout] as const)),
  )
  const wanted = new Wanted()
  const finishes = features.map((feature) =>
    aggregateOf(feature.aggregate).read(feature, readsOf(feature, layoutOf.get(feature)!, wanted)),
  )
  const windows = planWindows(wanted.logs.queries)
  const columnFor = ({ queries }: Slots): Float64Array => new Float64Array(queries.length)
  return {
    readers: layouts.map((layout) => planReader(layout, wanted, windows)),
    finishes,
    registers: {
      counts: columnFor(wanted.tallies),
      sums: columnFor(wanted.tallies),
      mins: columnFor(wanted.extremes),
      maxs: columnFor(wanted.extremes),
      latestTimes: columnFor(wanted.newest),
      latestValues: columnFor(wanted.newest),
      oldestTimes: columnFor(wanted.oldest),
      oldestValues: columnFor(wanted.oldest),
      windows,
    },
  }
}

/** What an aggregate may ask for, in the window of its feature. */
function readsOf(feature: AggregateSpec, layout: LayoutPlan, wanted: Wanted): Reads {
  const reach = reachOf(feature)
  const query = (where: EventPredicate | null, value: EventExpression | null, isFlag = false): Query => ({
    layout,
    ...reach,
    bit: predicateBit(layout, where),
    column: value === null ? -1 : columnOf(layout, value),
    isFlag,
  })
  return {
    tally: (where, value) => wanted.tallies.slotOf(query(where, value)),
    extremes: (where, value) => wanted.extremes.slotOf(query(where, value)),
    newest: (where, value) => wanted.newest.slotOf(query(where, value)),
    oldest: (where, value) => wanted.oldest.slotOf(query(where, value)),
    log: (where, value) => wanted.logs.slotOf(query(where, value)),
    flags: (where) => wanted.logs.slotOf(query(where, null, true)),
  }
}

/** Nested windows are ends of one log. */
function planWindows(queries: readonly Query[]): LogWindow[] {
  const logs = new Map<string, WindowLog>()
  return queries.map((query) => {
    const log = logs.get(nestOf(query)) ?? new WindowLog()
    logs.set(nestOf(query), log)
    return { log, start: 0 }
  })
}

function planReader(layout: LayoutPlan, wanted: Wanted, windows: readonly LogWindow[]): Reader {
  const cuts = planCuts(wanted.queries.filter((query) => query.layout === layout))
  const cutAt = (distanceMs: number, withoutCurrent: boolean): number =>
    cuts.findIndex((cut) => cut.distanceMs === distanceMs && cut.withoutCurrent === withoutCurrent)
  const upTo = ({ lagMs, withoutCurrent }: Query): number => cutAt(lagMs, withoutCurrent)
  const downTo = ({ reachMs }: Query): number => cutAt(reachMs, false)
  const spans = (slots: Slots): Span[] =>
    slots.nestsIn(layout).flatMap((nest) =>
      nest.map(([slot, query]) => {
        const { bit, column } = query
        return { upTo: upTo(query), downTo: downTo(query), slot, bit, column }
      }),
    )
  const tallies = (slots: Slots): Tally[] =>
    slots.nestsIn(layout).map((nest) => {
      const [, query] = nest[0]!
      const { bit, column } = query
      const ends = nest.map(([slot, one]) => ({ cut: downTo(one), slot }))
      return { upTo: upTo(query), downTo: ends, bit, column }
    })
  const collections = wanted.logs.nestsIn(layout).map((nest): Collection => {
    const [slot, query] = nest[0]!
    const { bit, column, isFlag } = query
    const ends = nest.map(([index, one]) => ({ cut: downTo(one), window: windows[index]! }))
    return { log: windows[slot]!.log, upTo: upTo(query), downTo: ends, bit, column, isFlag }
  })
  return {
    horizonMs: layout.horizonMs,
    eventsMax: layout.format.eventsMax,
    capByTime: layout.capByTime,
    cuts,
    at: new Int32Array(cuts.length),
    tallies: tallies(wanted.tallies),
    extremes: tallies(wanted.extremes),
    latests: spans(wanted.newest),
    oldests: spans(wanted.oldest),
    collections,
  }
}

/** Distinct window ends, newest first; of the two at the event's own time the one with the event comes first. */
function planCuts(reaches: readonly Reach[]): Cut[] {
  const cuts = new Map<string, Cut>()
  const add = (distanceMs: number, withoutCurrent: boolean): void => {
    cuts.set([distanceMs, withoutCurrent].join(), { distanceMs, withoutCurrent })
  }
  for (const { reachMs, lagMs, withoutCurrent } of reaches) {
    add(lagMs, withoutCurrent)
    add(reachMs, false)
  }
  return [...cuts.values()].sort(
    (a, b) => a.distanceMs - b.distanceMs || Number(a.withoutCurrent) - Number(b.withoutCurrent),
  )
}
