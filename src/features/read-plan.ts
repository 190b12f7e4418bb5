import type { Finish, Reads } from './aggregates/aggregate.ts'
import { aggregateOf } from './aggregates/table.ts'
import { columnOf, predicateBit } from './layout.ts'
import type { LayoutPlan } from './layout.ts'
import type { Cut, Latest, Reader, Registers, Tally } from './scan.ts'
import type { AggregateSpec, EventExpression, EventPredicate } from './spec.ts'
import { reachOf } from './window.ts'
import type { Reach } from './window.ts'

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
}

/** Distinct queries; the position of one is its slot in the registers. */
class Slots {
  readonly queries: Query[] = []
  private readonly byText = new Map<string, number>()

  slotOf(query: Query): number {
    const { layout, reachMs, lagMs, withoutCurrent, bit, column } = query
    const text = [layout.index, reachMs, lagMs, withoutCurrent, bit, column].join()
    let slot = this.byText.get(text)
    if (slot === undefined) {
      slot = this.queries.push(query) - 1
      this.byText.set(text, slot)
    }
    return slot
  }
}

export function planReads(layouts: readonly LayoutPlan[], features: readonly AggregateSpec[]): ReadPlan {
  const layoutOf = new Map(
    layouts.flatMap((layout) => layout.features.map((feature) => [feature, layout] as const)),
  )
  const tallied = new Slots()
  const latest = new Slots()
  const finishes = features.map((feature) => {
    const reads = readsOf(feature, layoutOf.get(feature)!, tallied, latest)
    return aggregateOf(feature.aggregate).read(feature, reads)
  })
  return {
    readers: layouts.map((layout) => planReader(layout, tallied, latest)),
    finishes,
    registers: {
      counts: new Float64Array(tallied.queries.length),
      sums: new Float64Array(tallied.queries.length),
      latestTimes: new Float64Array(latest.queries.length),
      latestValues: new Float64Array(latest.queries.length),
    },
  }
}

/** What an aggregate may ask for, in the window of its feature. */
function readsOf(feature: AggregateSpec, layout: LayoutPlan, tallied: Slots, latest: Slots): Reads {
  const reach = reachOf(feature)
  const query = (where: EventPredicate | null, value: EventExpression | null): Query => ({
    layout,
    ...reach,
    bit: predicateBit(layout, where),
    column: value === null ? -1 : columnOf(layout, value),
  })
  return {
    tally: (where, value) => tallied.slotOf(query(where, value)),
    newest: (where, value) => latest.slotOf(query(where, value)),
  }
}

function planReader(layout: LayoutPlan, tallied: Slots, latest: Slots): Reader {
  const ofLayout = (query: Query): boolean => query.layout === layout
  const cuts = planCuts([...tallied.queries, ...latest.queries].filter(ofLayout))
  const cutAt = (distanceMs: number, withoutCurrent: boolean): number =>
    cuts.findIndex((cut) => cut.distanceMs === distanceMs && cut.withoutCurrent === withoutCurrent)

  const tallies = new Map<string, Tally & { downTo: { cut: number; slot: number }[] }>()
  for (const [slot, query] of tallied.queries.entries()) {
    if (!ofLayout(query)) continue
    const { reachMs, lagMs, withoutCurrent, bit, column } = query
    const upTo = cutAt(lagMs, withoutCurrent)
    const key = [upTo, bit, column].join()
    const tally = tallies.get(key) ?? { upTo, bit, column, downTo: [] }
    tally.downTo.push({ cut: cutAt(reachMs, false), slot })
    tallies.set(key, tally)
  }
  for (const tally of tallies.values()) tally.downTo.sort((a, b) => a.cut - b.cut)

  const latests = [...latest.queries.entries()].flatMap(([slot, query]): Latest[] => {
    if (!ofLayout(query)) return []
    const { reachMs, lagMs, withoutCurrent, bit, column } = query
    return [{ upTo: cutAt(lagMs, withoutCurrent), downTo: cutAt(reachMs, false), slot, bit, column }]
  })
  return {
    horizonMs: layout.horizonMs,
    eventsMax: layout.format.eventsMax,
    capByTime: layout.capByTime,
    cuts,
    at: new Int32Array(cuts.length),
    tallies: [...tallies.values()],
    latests,
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
