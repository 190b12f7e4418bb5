import { givenUpIds, type Decoder } from '../../decode/decoder.ts'
import { Fault } from '../../decode/fault.ts'
import type { SourcePlan } from '../../decode/plan.ts'
import { readSchemaId } from '../../decode/schema-frame.ts'
import type { PartView } from '../../features/compiled.ts'
import { lateVerdict } from '../../features/lateness.ts'
import { EventFailures } from '../../pipeline/event-failures.ts'
import { isReject, type Event, type RejectReason } from '../../record/event.ts'
import type { RawRecord } from '../../record/raw-record.ts'
import type { Clock } from '../../time/clock.ts'
import { DeadlineExceeded, withTimeout } from '../../time/deadline.ts'
import type { Plan } from '../../topology/plan.ts'
import type { DeadLetter } from './dead-letter.ts'

/** What would become of a record if it were written again now, as far as that can be told without its windows. */
export interface Verdict {
  /**
   * `scored` unless the model fails on it, `state` (changes windows, predicts nothing), `ignored` (too late for any window),
   * `dead-letter` again, `waits` (the schema registry does not know its schema), `unknown-source`.
   */
  readonly outcome: 'scored' | 'state' | 'ignored' | 'dead-letter' | 'waits' | 'unknown-source'
  /** Of the dead letter it would become. */
  readonly reason?: RejectReason
  /** Flags its prediction would carry for sure. */
  readonly flags: readonly 'late'[]
  readonly message: string
  readonly eventId?: string
  /** Event time, epoch ms. */
  readonly eventTime?: number
}

export interface CheckParts {
  readonly plan: Plan
  readonly clock: Clock
  /** By name of the source. */
  readonly decoders: ReadonlyMap<string, { readonly decoder: Decoder }>
  /** What stands in for a missing model input, by feature; null when the model cannot be read. */
  readonly missing: ReadonlyMap<string, number> | null
  /** Largest event time committed in a source partition, epoch ms; null: none, or unknown. */
  readonly largestTime: (topic: string, partition: number) => Promise<number | null>
}

/** How long the registry may take for one schema id. */
const schemaWaitMs = 5_000
/** Ids that were asked for in vain; beyond this many, new ones are asked for each time. */
const unknownIdsMax = 1_000

/** Judges dead letters by the current topology. Reads no state and writes nothing. */
export function createDeadLetterCheck(parts: CheckParts): (letter: DeadLetter) => Promise<Verdict> {
  const { plan, clock, decoders } = parts
  const unknownIds = new Set<number>()
  return async (letter) => {
    if (!letter.holdsRecord) {
      return { outcome: 'dead-letter', flags: [], message: 'it holds no record: that is only in its source' }
    }
    const source = plan.sources.find(({ topic }) => topic === letter.source.topic)
    const decoder = source && decoders.get(source.name)?.decoder
    if (!source || !decoder) {
      return other('unknown-source', `the topology has no source that reads ${letter.source.topic}`)
    }
    const raw: RawRecord = { ...letter.raw, ...letter.source, timestamp: clock.now() }
    const waits = await prepare(source, decoder, raw, clock, unknownIds)
    if (waits !== null) return other('waits', waits)
    const event = decoder.decode(raw)
    if (isReject(event)) return again(event.reason, event.message)
    const largest = await parts.largestTime(raw.topic, raw.partition)
    return { ...judgeEvent(parts, source, event, largest), eventId: event.id, eventTime: event.time }
  }
}

function other(outcome: Verdict['outcome'], message: string): Verdict {
  return { outcome, flags: [], message }
}

function again(reason: RejectReason, message: string): Verdict {
  return { outcome: 'dead-letter', reason, flags: [], message }
}

/** Loads the writer schema; says why when the registry does not give it in time. */
async function prepare(
  source: SourcePlan,
  decoder: Decoder,
  raw: RawRecord,
  clock: Clock,
  unknownIds: Set<number>,
): Promise<string | null> {
  const read = givenUpIds(source.codec) !== null && raw.value !== null ? readSchemaId(raw.value) : null
  const id = read instanceof Fault ? null : read
  const unknown = `the schema registry does not give schema id ${id}; the partition would wait for it`
  if (id !== null && unknownIds.has(id)) return unknown
  const stop = new AbortController()
  try {
    await withTimeout(decoder.prepare([raw], stop.signal), schemaWaitMs, clock, 'asking the registry')
    return null
  } catch (error) {
    if (!(error instanceof DeadlineExceeded)) throw error
    if (id !== null && unknownIds.size < unknownIdsMax) unknownIds.add(id)
    return unknown
  } finally {
    stop.abort()
  }
}

function judgeEvent(
  { plan, missing }: CheckParts,
  source: SourcePlan,
  event: Event,
  largestTime: number | null,
): Verdict {
  const fed = plan.features.layoutsFedBy(source.name)
  const verdict = lateVerdict({
    time: event.time,
    maxTimeBefore: largestTime ?? -Infinity,
    outOfOrderMs: source.outOfOrderMs,
    allowedLatenessMs: source.allowedLatenessMs,
    horizonMs: Math.max(0, ...fed.map(({ horizonMs }) => horizonMs)),
    policy: source.late,
  })
  if (verdict === 'dead-letter') {
    return again('LATE', 'its event time is later than the topology accepts (late: dead-letter)')
  }
  const late = verdict !== 'on-time'
  const inserted = verdict === 'on-time' || verdict === 'late-score-insert'
  const failure = expressionFailure(plan, source, event, inserted)
  if (failure !== null) return again('EXPRESSION', failure)
  if (source.role === 'state') {
    return inserted ? other('state', 'changes windows') : other('ignored', 'late: no window changes')
  }
  const problem = missing === null ? null : valueProblem(plan, missing, event)
  if (problem !== null) return again('MISSING', problem)
  const message = late ? `late: ${inserted ? 'counts in windows' : 'counts in no window'}` : 'decodes'
  return { outcome: 'scored', flags: late ? ['late'] : [], message }
}

const nothingStored: PartView = { own: () => null, foreign: () => [] }

/** An expression of the features in error, where the topology makes that a dead letter; rules are not known here. */
function expressionFailure(plan: Plan, source: SourcePlan, event: Event, inserted: boolean): string | null {
  if (plan.expressions.onError !== 'dead-letter') return null
  const { features } = plan
  const failures = new EventFailures(() => undefined)
  for (const layout of inserted ? features.layoutsFedBy(source.name) : [])
    features.insert(layout, features.newPart(layout), event, failures)
  if (source.role === 'score') features.row(event, nothingStored, failures)
  return failures.first
}

/** Model inputs that come from the event alone; those from windows are not known here. */
function valueProblem(plan: Plan, missing: ReadonlyMap<string, number>, event: Event): string | null {
  const values = new Set(plan.featuresSpec.values.map(({ name }) => name))
  const inputs = plan.model.inputs.flatMap(({ features }) => features).filter((name) => values.has(name))
  if (inputs.length === 0) return null
  const { numbers } = plan.features.row(event, nothingStored)
  for (const name of inputs) {
    const number = numbers[plan.features.names.indexOf(name)] ?? NaN
    const value = Number.isNaN(number) ? (missing.get(name) ?? NaN) : number
    if (Number.isNaN(value)) return `model input ${name} is missing and the manifest gives no value for it`
    if (!Number.isFinite(Math.fround(value))) return `model input ${name} = ${value} does not fit float32`
  }
  return null
}
