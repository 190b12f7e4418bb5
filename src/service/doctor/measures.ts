/** What a sample measures: disorder of a log, and how old labels are when they arrive. Pure; all times in ms. */
import type { EventRun } from './sample.ts'

export interface Measured {
  readonly count: number
  readonly p50: number
  readonly p99: number
  readonly max: number
}

export function measured(values: readonly number[]): Measured | null {
  if (values.length === 0) return null
  const sorted = Float64Array.from(values).toSorted()
  const at = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1] as number
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) }
}

/**
 * How far each event lies behind the largest event time before it, 0 where it does not. The time before the run is not
 * known, so this is the least that the disorder can be.
 */
export function behindLargest({ events }: EventRun): readonly number[] {
  let largest = -Infinity
  return events.map(({ time }) => {
    const behind = Math.max(0, largest - time)
    largest = Math.max(largest, time)
    return behind
  })
}

/** How long after its event time each record was written; or why its timestamp does not tell. */
export function agesOf(runs: readonly EventRun[]): readonly number[] | 'no events' | 'event times' | 'bulk' {
  const events = runs.flatMap((run) => run.events)
  const ages = events.map(({ time, timestamp }) => timestamp - time)
  const age = measured(ages)
  if (age === null) return 'no events'
  if (ages.every((one) => one <= 0)) return 'event times'
  const written = span(events.map(({ timestamp }) => timestamp))
  const happened = span(events.map(({ time }) => time))
  // Labels of an hour are written within an hour or so, in any order; an upload writes a year in a minute, sorted.
  const isFast = written < age.p99 && written < happened / bulkSpeedMin
  return isFast && sortedShare(runs) >= bulkSortedMin ? 'bulk' : ages
}

const bulkSpeedMin = 4
const bulkSortedMin = 0.75

/** Share of neighbours in order. */
function sortedShare(runs: readonly EventRun[]): number {
  const steps = runs.flatMap(({ events }) =>
    events.slice(1).map(({ time }, index) => time >= (events[index]?.time ?? time)),
  )
  return steps.length === 0 ? 1 : steps.filter(Boolean).length / steps.length
}

function span(values: readonly number[]): number {
  const [least, most] = values.reduce(
    ([low, high], value) => [Math.min(low, value), Math.max(high, value)],
    [Infinity, -Infinity],
  )
  return most - least
}
