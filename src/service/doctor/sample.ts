import type { SourcePlan } from '../../decode/plan.ts'
import type { Decoder } from '../../decode/decoder.ts'
import type { SampledRun } from '../../kafka/log-sample.ts'
import { isReject, type RejectReason } from '../../record/event.ts'
import { inputName } from '../../record/input.ts'
import type { RawRecord } from '../../record/raw-record.ts'

/** What sampled records of one source say. Times in ms. */
export interface SourceSample {
  readonly source: string
  readonly records: number
  /** Most frequent first. */
  readonly rejects: readonly RejectGroup[]
  readonly times: TimesSample
  readonly runs: readonly EventRun[]
}

/** Records that would become dead letters for the same reason. */
export interface RejectGroup {
  readonly reason: RejectReason
  readonly count: number
  /** Of the first one. */
  readonly message: string
  readonly place: string
  /** Fields whose text is the record key in each of them; none when the key is not what is wrong. */
  readonly fieldsLikeKey: readonly string[]
}

export interface TimesSample {
  /** Records with a number as event time. */
  readonly count: number
  /** How many look like a time in another unit than the one they are read in; null: in none. */
  readonly other: ReadonlyMap<TimeUnit | null, number>
  readonly example: { readonly value: number; readonly readAs: number | null } | null
}

/** Events that follow each other in one partition, in log order. */
export interface EventRun {
  readonly partition: number
  readonly events: readonly { readonly time: number; readonly timestamp: number }[]
}

export const timeUnits = ['s', 'ms', 'us', 'ns'] as const
export type TimeUnit = (typeof timeUnits)[number]

/**
 * The unit of an epoch time, by its size alone: between 1973 and 5138 the four cannot be confused. Null: a time in none of
 * them, such as the hours of a simulation.
 */
export function likelyUnit(value: number): TimeUnit | null {
  const thousands = Math.floor((Math.log10(value) - firstDigits) / 3)
  return value > 0 ? (timeUnits[thousands] ?? null) : null
}

/** 10^8 s is March 1973. */
const firstDigits = 8

export function readSample(
  source: SourcePlan,
  decoder: Pick<Decoder, 'decode'>,
  sampled: readonly SampledRun[],
): SourceSample {
  const rejects = new Map<string, RejectGroup>()
  const times = new TimesTally()
  const runs = sampled.map(({ partition, records }): EventRun => {
    const events: { time: number; timestamp: number }[] = []
    for (const record of records) {
      const decoded = decoder.decode(record)
      if (!isReject(decoded)) {
        times.event(numberAt(decoded.fields, source.timeField), decoded.time)
        events.push({ time: decoded.time, timestamp: record.timestamp })
        continue
      }
      const { reason, message } = decoded
      if (reason === 'TIMESTAMP') times.refused(numberAt(jsonOf(source, record), source.timeField))
      const shape = shapeOf(reason, message)
      rejects.set(shape, withOne(rejects.get(shape), { reason, message }, source, record))
    }
    return { partition, events }
  })
  return {
    source: source.name,
    records: sampled.reduce((sum, run) => sum + run.records.length, 0),
    rejects: [...rejects.values()].toSorted((a, b) => b.count - a.count),
    times: times.sample(),
    runs,
  }
}

class TimesTally {
  #count = 0
  readonly #other = new Map<TimeUnit | null, number>()
  #example: TimesSample['example'] = null

  /** `readAs`: the time that was made of it. Null value: it is text. */
  event(value: number | null, readAs: number): void {
    if (value === null) return
    this.#count++
    if (likelyUnit(readAs) !== 'ms') this.#add(value, readAs)
  }

  /** Refused as a time. What looks like milliseconds is one that came too early, or too late. */
  refused(value: number | null): void {
    if (value === null) return
    this.#count++
    if (likelyUnit(value) !== 'ms') this.#add(value, null)
  }

  #add(value: number, readAs: number | null): void {
    const unit = likelyUnit(value)
    this.#other.set(unit, (this.#other.get(unit) ?? 0) + 1)
    this.#example ??= { value, readAs }
  }

  sample(): TimesSample {
    return { count: this.#count, other: this.#other, example: this.#example }
  }
}

function withOne(
  group: RejectGroup | undefined,
  { reason, message }: { readonly reason: RejectReason; readonly message: string },
  source: SourcePlan,
  record: RawRecord,
): RejectGroup {
  const alike = differsFromKey.test(message) ? fieldsLikeKey(source, record) : []
  if (group === undefined) {
    const place = `${inputName(record)}@${record.offset}`
    return { reason, count: 1, message, place, fieldsLikeKey: alike }
  }
  const both = group.fieldsLikeKey.filter((field) => alike.includes(field))
  return { ...group, count: group.count + 1, fieldsLikeKey: both }
}

const differsFromKey = /differs from the record key/

function fieldsLikeKey(source: SourcePlan, record: RawRecord): readonly string[] {
  const key = record.key?.toString('utf8')
  const fields = jsonOf(source, record)
  return Object.keys(fields).filter((name) => {
    const value = fields[name]
    return (typeof value === 'string' || typeof value === 'number') && String(value) === key
  })
}

/** Messages that differ in values only are one reason. */
function shapeOf(reason: RejectReason, message: string): string {
  return `${reason} ${message.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""').replaceAll(/[\d.]+/g, '0')}`
}

/** The fields of a record that was refused, as far as they can be had. */
function jsonOf({ codec }: SourcePlan, { value }: RawRecord): Readonly<Record<string, unknown>> {
  if (codec.kind !== 'json' || value === null) return {}
  try {
    const parsed: unknown = JSON.parse(value.toString('utf8'))
    return isFields(parsed) ? parsed : {}
  } catch {
    return {}
  }
}

/** At a name, or at a path of names. */
function numberAt(fields: Readonly<Record<string, unknown>>, path: string): number | null {
  const walked = path
    .split('.')
    .reduce<unknown>((value, name) => (isFields(value) ? value[name] : undefined), fields)
  const value = fields[path] ?? walked
  return typeof value === 'number' ? value : null
}

function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
