import type { SourcePlan } from '../../decode/plan.ts'
import type { MillraceError } from '../../errors.ts'
import { formatDuration } from '../../expression/quantity.ts'
import type { AggregateSpec } from '../../features/spec.ts'
import { latenessMs, sourceOf } from '../../pipeline/partition-context.ts'
import type { Plan } from '../../topology/plan.ts'
import type { Facts } from './facts.ts'
import { known, type Judge } from './kafka.ts'
import { agesOf, behindLargest, measured, type Measured } from './measures.ts'
import type { RejectGroup, SourceSample, TimeUnit } from './sample.ts'
import { fail, ok, unknown, warn, worst, type CheckId, type Finding } from './table.ts'

const reasonsToldMax = 3
/** One odd record in a hundred is what a source may have without its topology being wrong. */
const oddShareMax = 0.01

export const recordJudges = {
  'records.decode': (facts) => eachSample(facts, judgeRejects),
  'records.time': (facts) => eachSample(facts, judgeTimes),
  'records.order': (facts) => eachSample(facts, judgeOrder),
  'records.label-age': (facts) => {
    if (facts.plan.sources.every(({ name }) => readersOf(facts.plan, name).length === 0))
      return ok('not needed: no feature reads another source')
    return eachSample(facts, judgeAges, ({ name }) => readersOf(facts.plan, name).length > 0)
  },
} satisfies Partial<Record<CheckId, Judge>>

function eachSample(
  { samples, plan }: Facts,
  judge: (sample: SourceSample, source: SourcePlan, plan: Plan) => Finding,
  isWanted: (source: SourcePlan) => boolean = () => true,
): Finding {
  const wanted = known(samples).filter(({ source }) => isWanted(sourceOf(plan, source)))
  return together(
    wanted.map(({ source, sample }) =>
      'error' in sample
        ? notSampled(source, sample.error)
        : judge(sample.value, sourceOf(plan, source), plan),
    ),
  )
}

function notSampled(source: string, { code, message, remedy }: MillraceError): Finding {
  const found = `${source}: ${code}: ${message}`
  // The service would wait for it, in order, for as long as it takes.
  if (code === 'SCHEMA_UNKNOWN') return warn(`${found}: its partition waits until it is`, remedy)
  if (code === 'KAFKA_UNAUTHORISED')
    return unknown(found, `Grant Read on the topic of ${source} to have this checked.`)
  return unknown(found, remedy)
}

/** What is fine is told as well: the figures are why one asks. */
function together(findings: readonly Finding[]): Finding {
  return worst(findings, findings.map(({ found }) => found).join('; '))
}

function judgeRejects(
  { source, records, rejects }: SourceSample,
  { topic }: SourcePlan,
  plan: Plan,
): Finding {
  if (records === 0) return ok(`${source}: no records yet`)
  const count = rejects.reduce((sum, one) => sum + one.count, 0)
  if (count === 0) return ok(`${source}: ${records} sampled records decode`)
  const told = rejects.slice(0, reasonsToldMax).map(rejectText)
  const more = rejects.length - told.length
  const share = count / records
  const found =
    `${source}: ${count} of ${records} sampled records (${percent(share)}) would be dead letters: ` +
    `${told.join('; ')}${more > 0 ? `; ${more} more reasons` : ''}`
  const fixes = rejects.slice(0, reasonsToldMax).map((group) => fixOf(group, source))
  const fix = [...new Set(fixes)].join('\n')
  const { share: shareMax } = plan.limits.deadLetterShareMax
  if (share <= shareMax) return warn(found, fix)
  return fail(`${found}; at more than ${percent(shareMax)} of ${topic} the service stops`, fix)
}

function rejectText({ reason, count, message, place }: RejectGroup): string {
  return `${count} × ${reason}, as in ${place}: ${message}`
}

function fixOf({ reason, message, fieldsLikeKey }: RejectGroup, source: string): string {
  const [field] = fieldsLikeKey
  if (field !== undefined) {
    return `The record key is field ${field}: write \`key: ${field}\` for source ${source}, or let the producer write the key that the topology names.`
  }
  const reasons: Readonly<Partial<Record<typeof reason, string>>> = {
    VALIDATION: `Records of ${source} need the id and the record key that the topology names, as UTF-8 text: correct \`id:\` or \`key:\`, or the producer.`,
    SCHEMA: `Correct the schema of ${source} where the producer is right, else the producer.`,
    DECODE: `See that \`codec:\` of ${source} is what its producer writes.`,
    TIMESTAMP: `Correct \`time:\` of ${source} (see records.time), or the producer.`,
    OVERSIZE: 'Raise limits.recordMax if such records are meant to be scored.',
  }
  return reasons[reason] ?? `Correct what the message says (${message}).`
}

function judgeTimes({ source, times }: SourceSample, { timeField }: SourcePlan): Finding {
  const odd = [...times.other].toSorted(([, a], [, b]) => b - a)
  const [most] = odd
  if (most === undefined || times.example === null)
    return ok(`${source}: nothing odd in ${times.count} times`)
  const [unit, count] = most
  const share = count / times.count
  const found = `${source}: ${percent(share)} of the sampled times (${count}) look like ${unitNames[unit ?? 'none']}${exampleText(times.example)}`
  const fix =
    unit === null
      ? `Let the producer of ${source} write epoch times; \`${timeField}\` is none. Windows and delays are measured by it.`
      : `In the topology, for source ${source}: time: {field: ${JSON.stringify(timeField)}, unit: ${unit}}`
  return share > 0.5 ? fail(found, fix) : warn(found, fix)
}

const unitNames: Readonly<Record<TimeUnit | 'none', string>> = {
  s: 'epoch seconds',
  ms: 'epoch milliseconds',
  us: 'epoch microseconds',
  ns: 'epoch nanoseconds',
  none: 'no epoch time in any unit',
}

function exampleText({ value, readAs }: { value: number; readAs: number | null }): string {
  const date = readAs === null ? new Date(NaN) : new Date(readAs)
  return Number.isNaN(date.getTime()) ? ` (${value})` : ` (${value}, read as ${date.toISOString()})`
}

function judgeOrder(sample: SourceSample, source: SourcePlan, plan: Plan): Finding {
  const behind = sample.runs.flatMap(behindLargest)
  const disorder = measured(behind)
  if (disorder === null) return ok(`${source.name}: no events yet`)
  const lateness = latenessMs(source, plan.features.horizonMs)
  const kept = source.outOfOrderMs + lateness
  const late = behind.filter((one) => one > kept).length / behind.length
  const found =
    `${source.name}: 99 % of the events lie at most ${roundedUp(disorder.p99)} and all at most ${roundedUp(disorder.max)} behind the largest event time before them ` +
    `(outOfOrder ${formatDuration(source.outOfOrderMs)}, allowedLateness ${source.allowedLatenessMs === null ? 'horizon' : formatDuration(lateness)})`
  if (late === 0) return ok(found)
  const enough = roundedUp(disorder.max - lateness)
  return warn(
    `${found}: ${percent(late)} of the sample is late (late: ${source.late}), and merged windows may have forgotten what such events still see`,
    `If they are to count: outOfOrder: ${enough} for source ${source.name}. (The state hash changes: windows are rebuilt.)`,
  )
}

/** Features of scored events that read this source, which is another one than theirs. */
function readersOf({ featuresSpec }: Plan, source: string): readonly AggregateSpec[] {
  if (source === featuresSpec.scored) return []
  return featuresSpec.features.filter(
    (one): one is AggregateSpec => one.kind !== 'ratio' && one.from === source,
  )
}

function judgeAges({ source, runs }: SourceSample, _: SourcePlan, plan: Plan): Finding {
  const ages = agesOf(runs)
  if (ages === 'no events') return ok(`${source}: no events yet`)
  if (typeof ages === 'string') return unknown(`${source}: ${notMeasured[ages]}`)
  const age = measured(ages) as Measured
  const early = readersOf(plan, source).flatMap(({ name, delayMs }) => {
    const share = ages.filter((one) => one > delayMs).length / ages.length
    return share > oddShareMax ? [{ name, delayMs, share }] : []
  })
  const found = `${source}: records come ${roundedUp(age.p50)} after their event time (median), 99 % of them within ${roundedUp(age.p99)}`
  if (early.length === 0) return ok(found)
  const told = early.map(
    ({ name, delayMs, share }) =>
      `${name} has delay ${formatDuration(delayMs)}: ${percent(share)} come later`,
  )
  return warn(
    `${found}; ${told.join(', ')}. A model that was trained with them saw what is not known yet when an event is scored`,
    `delay: ${roundedUp(age.p99)} or more for ${early.map(({ name }) => name).join(', ')} (for all its windows, also in training).`,
  )
}

const notMeasured = {
  'event times': 'record timestamps are not later than event times, so they do not tell when a record came',
  bulk: 'record timestamps are those of an upload, so they do not tell when a record came',
} as const

function percent(share: number): string {
  const value = share * 100
  return `${value >= 10 || value === 0 ? value.toFixed(0) : value.toPrecision(2)} %`
}

const [secondMs, minuteMs, hourMs, dayMs] = [1_000, 60_000, 3_600_000, 86_400_000] as const

/** To a duration that one would write. */
export function roundedUp(ms: number): string {
  const unit = ms < 2 * minuteMs ? secondMs : ms < 2 * hourMs ? minuteMs : ms < 2 * dayMs ? hourMs : dayMs
  return formatDuration(Math.max(0, Math.ceil(ms / unit)) * unit)
}
