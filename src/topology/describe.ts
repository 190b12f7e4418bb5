/** What a plan comes to, for people (`millrace describe`) and programs (`-o json`). */
import { formatDuration } from '../expression/quantity.ts'
import { aggregateOf } from '../features/aggregates/table.ts'
import type { FeatureSpec } from '../features/spec.ts'
import type { SourcePlan } from '../decode/plan.ts'
import type { Plan } from './plan.ts'
import { interval } from './windows.ts'

export interface Description {
  readonly name: string
  readonly file: string
  readonly kafka: { readonly brokers: readonly string[]; readonly group: string }
  readonly sources: readonly DescribedSource[]
  readonly entities: readonly {
    readonly name: string
    readonly keys: readonly string[]
    readonly merge: boolean
  }[]
  readonly values: readonly { readonly name: string; readonly expression: string }[]
  readonly features: readonly {
    readonly name: string
    readonly definition: string
    readonly window: string | null
  }[]
  readonly state: readonly DescribedLayout[]
  readonly horizonMs: number
  readonly model: Pick<Plan['model'], 'path' | 'inputs' | 'score' | 'definitions'>
  readonly outcomes: readonly string[]
  readonly rules: readonly { readonly id: string; readonly severity: string }[]
  readonly outputs: {
    readonly predictions: string
    readonly alerts: string
    readonly deadLetters: readonly string[]
  }
  readonly vectorHash: string
  readonly stateHash: string
}

interface DescribedSource {
  readonly name: string
  readonly role: string
  readonly topic: string
  readonly codec: string
  readonly key: string
  readonly time: string
  readonly outOfOrderMs: number
  readonly allowedLatenessMs: number | null
  readonly late: string
  /** False: no feature reads it, so that only `replay --labels` does. */
  readonly served: boolean
}

interface DescribedLayout {
  readonly entity: string
  readonly source: string
  readonly merge: boolean
  readonly columns: readonly string[]
  readonly bytesPerEvent: number
  readonly horizonMs: number
}

export function describePlan(plan: Plan): Description {
  return {
    name: plan.name,
    file: plan.file,
    kafka: { brokers: plan.kafka.brokers, group: plan.kafka.group },
    sources: [
      ...plan.sources.map((source) => describeSource(source, true)),
      ...plan.labelSources.map((source) => describeSource(source, false)),
    ],
    entities: plan.featuresSpec.entities,
    values: plan.featuresSpec.values.map(({ name, expression }) => ({ name, expression: expression.text })),
    features: plan.featuresSpec.features.map((feature) => ({
      name: feature.name,
      definition: definitionOf(feature),
      window: feature.kind === 'ratio' ? null : interval(feature),
    })),
    state: plan.features.layouts.map(({ entity, source, merge, columns, horizonMs }) => ({
      entity,
      source,
      merge,
      columns,
      bytesPerEvent: bytesPerEvent(columns),
      horizonMs,
    })),
    horizonMs: plan.features.horizonMs,
    model: describeModel(plan.model),
    outcomes: plan.decide.outcomes.map(({ name }) => name),
    rules: plan.decide.rules.map(({ id, severity }) => ({ id, severity })),
    outputs: {
      predictions: plan.sinks.predictions.topic,
      alerts: plan.sinks.alerts.topic,
      deadLetters: [
        ...new Set(plan.sources.map(({ topic }) => plan.sinks.deadLetterTopic.replaceAll('{topic}', topic))),
      ],
    },
    vectorHash: plan.model.vectorHash,
    stateHash: plan.stateHash,
  }
}

function describeModel({ path, inputs, score, definitions }: Plan['model']): Description['model'] {
  return { path, inputs, score, definitions }
}

function describeSource(source: SourcePlan, served: boolean): DescribedSource {
  const { codec } = source
  return {
    name: source.name,
    role: source.role,
    topic: source.topic,
    codec:
      codec.kind === 'json'
        ? `json${codec.framed ? ' in registry frames' : ''} ${codec.schemaPath}`
        : `avro ${codec.subject}`,
    key: source.keyField,
    time: `${source.timeField} (${source.timeFormat})`,
    outOfOrderMs: source.outOfOrderMs,
    allowedLatenessMs: source.allowedLatenessMs,
    late: source.late,
    served,
  }
}

/** Stored form: a float64 per number, and one uint32 for all conditions. */
export function bytesPerEvent(columns: readonly string[]): number {
  const conditions = columns.filter((column) => column.startsWith('where: ')).length
  return 8 * (columns.length - conditions) + (conditions > 0 ? 4 : 0)
}

function definitionOf(feature: FeatureSpec): string {
  const empty = `, else ${feature.default ?? 'missing'}`
  if (feature.kind === 'ratio') return `${feature.of} / ${feature.to}${empty}`
  const { over, from, aggregate, value, where, divideBy, settings } = feature
  const { where: need, phrase } = aggregateOf(aggregate)
  const what = `${aggregate}${value === null ? '' : ` of ${value.text}`}${divided(divideBy)}`
  const condition = where === null ? '' : ` ${need === 'needed' ? 'of' : 'where'} ${where.text}`
  return `${what}${condition}${phrase?.(settings) ?? ''} over ${over} from ${from}${empty}`
}

function divided(by: number): string {
  return by === 1 ? '' : ` / ${by}`
}

export function formatDescription(description: Description): string {
  const { name, file, kafka, model, outputs } = description
  const sections: [title: string, rows: readonly (readonly string[])[]][] = [
    ['sources', description.sources.map(sourceRow)],
    [
      'entities',
      description.entities.map((entity) => [
        entity.name,
        entity.keys.join(' × '),
        entity.merge ? 'merged from all partitions' : 'in one partition, exact',
      ]),
    ],
    ['values', description.values.map((value) => [value.name, value.expression])],
    [
      'features',
      description.features.map((feature) => [feature.name, feature.window ?? '', feature.definition]),
    ],
    ['state', description.state.map(stateRow)],
    ...model.inputs.map((input): [string, string[][]] => [
      `model input ${input.name}: ${input.features.length} columns`,
      input.features.map((feature, i) => [String(i), feature]),
    ]),
    [
      'decisions',
      [
        ['outcome', description.outcomes.join(', ')],
        ...description.rules.map((rule) => ['alert', `${rule.id} (${rule.severity})`]),
      ],
    ],
    [
      'outputs',
      [
        ['predictions', outputs.predictions],
        ['alerts', outputs.alerts],
        ['dead letters', outputs.deadLetters.join(', ')],
      ],
    ],
    [
      'hashes',
      [
        ['vector', description.vectorHash],
        ['state', description.stateHash],
      ],
    ],
  ]
  const score =
    model.score.column === null ? model.score.output : `${model.score.output}[:, ${model.score.column}]`
  return [
    `${name} (${file})`,
    `  group ${kafka.group} at ${kafka.brokers.join(', ')}`,
    `  model ${model.path}, score ${score}`,
    ...sections.flatMap(([title, rows]) => (rows.length === 0 ? [] : ['', title, ...align(rows)])),
    '',
  ].join('\n')
}

function sourceRow(source: DescribedSource): readonly string[] {
  const { name, topic, codec } = source
  if (!source.served)
    return [name, 'labels only', topic, 'read by `replay --labels`; not when serving', '', codec]
  const lateness = source.allowedLatenessMs === null ? 'horizon' : formatDuration(source.allowedLatenessMs)
  const order = `out of order ${formatDuration(source.outOfOrderMs)}, allowed lateness ${lateness}, then ${source.late}`
  return [
    source.name,
    source.role,
    source.topic,
    `key ${source.key}`,
    `time ${source.time}`,
    source.codec,
    order,
  ]
}

function stateRow(layout: DescribedLayout): readonly string[] {
  return [
    `${layout.entity} from ${layout.source}`,
    layout.columns.join(', '),
    `${layout.bytesPerEvent} bytes an event`,
    `kept for ${formatDuration(layout.horizonMs)}`,
  ]
}

/** Columns as wide as their widest cell; the last is not padded. */
function align(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)))
  return rows.map(
    (row) =>
      `  ${row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join('  ')
        .trimEnd()}`,
  )
}
