import { readFileSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { MillraceError } from '../errors.ts'
import type { DecodeLimits } from '../decode/plan.ts'
import { compileFeatures } from '../features/compile.ts'
import type { CompiledFeatures } from '../features/compiled.ts'
import type { FeaturesSpec } from '../features/spec.ts'
import type { KafkaOptions } from '../kafka/options.ts'
import type { KafkaPlan } from '../kafka/plan.ts'
import type { SinkPlan } from '../sink/plan.ts'
import { checkShape } from './check-shape.ts'
import type { CheckedShape, Sections } from './check-shape.ts'
import { compileDecide } from './decide.ts'
import { TopologyDocument } from './document.ts'
import { ruleScope } from './expressions.ts'
import { compileFeatureSpecs } from './features.ts'
import type { CheckedFeatures } from './features.ts'
import { withFieldsRead } from './fields-read.ts'
import { stateHashOf } from './hash.ts'
import { checkModel, compileModel } from './model.ts'
import type { TopologyOptions } from './options.ts'
import type { LimitsPlan, Plan, StorePlan } from './plan.ts'
import { TopologyError } from './problem.ts'
import { checkRoles, compileSource } from './sources.ts'
import type { CheckedSource } from './sources.ts'
import { checkSinks, compileSinks } from './sinks.ts'
import { reasonOf } from './substitute.ts'
import { vectorHashesOf } from './vector-hash.ts'

export interface LoadOptions {
  /** `optional`: the model need not be there (replay computes features alone). */
  readonly model?: 'required' | 'optional'
}

// A topology of a thousand features has about 150 KB.
const fileBytesMax = 4 * 1024 * 1024

/**
 * Reads a topology, checks all of it and compiles it. Rejects with TopologyError (TOPOLOGY_INVALID), which lists every
 * problem with its line and column.
 */
export async function loadTopology(
  file: string,
  env: Readonly<Record<string, string | undefined>>,
  options: LoadOptions = {},
): Promise<Plan> {
  return parseTopology(readTopology(file), file, env, options)
}

/** As loadTopology, from text; `file` names the folder of relative paths and appears in problems. */
export function parseTopology(
  text: string,
  file: string,
  env: Readonly<Record<string, string | undefined>>,
  options: LoadOptions = {},
): Plan {
  const folder = dirname(resolve(file))
  const document = new TopologyDocument(file, text, { env, folder })
  const shape = checkShape(document)
  // What a broken text seems to say is no ground for judging references.
  const plan = document.broken ? null : compile(document, shape, folder, options.model ?? 'required')
  if (plan === null || document.problems.length > 0)
    throw new TopologyError(file, document.problems, document.warnings)
  return freeze(plan)
}

function readTopology(file: string): string {
  const refuse = (message: string, suggestion: string): TopologyError =>
    new TopologyError(file, [{ file, line: 1, column: 1, path: '', message, suggestion }])
  try {
    const { size } = statSync(file)
    if (size > fileBytesMax)
      throw refuse(`the file has ${size} bytes, more than ${fileBytesMax}.`, 'Is it a topology?')
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (error instanceof TopologyError) throw error
    throw refuse(`the file cannot be read (${reasonOf(error)}).`, 'Check the path.')
  }
}

/** Null when a needed part has problems; those are listed in the document. */
function compile(
  document: TopologyDocument,
  shape: CheckedShape,
  folder: string,
  presence: 'required' | 'optional',
): Plan | null {
  const { sections } = shape
  const sources = compileSources(document, shape, folder)
  const scored = sources.scored
  if (scored === null) return null
  const features = compileFeatureSpecs({
    document,
    scored,
    sources: sources.byName,
    entities: sections.entities ?? {},
    faultyEntities: shape.faulty.entities,
    values: sections.values ?? {},
    faultyValues: shape.faulty.values,
    features: sections.features ?? {},
    faultyFeatures: shape.faulty.features,
    eventsPerEntityMax: sections.limits?.eventsPerEntityMax ?? 1,
  })
  if (sections.model !== null) checkModel(document, sections.model, features, folder, presence)
  const decide = compileRules(document, shape, sources.byName.get(scored) ?? null, features)
  checkSinks(
    document,
    sections,
    [...sources.byName].flatMap(([name, source]) =>
      source === null ? [] : [{ name, topic: source.plan.topic }],
    ),
  )
  if (document.problems.length > 0 || decide === null) return null

  const {
    name,
    kafka,
    registry,
    model: modelOptions,
    expressions,
    batch,
    sinks,
    store,
    limits,
  } = complete(sections)
  const model = compileModel(modelOptions, folder)
  const compiled = compileColumns(document, features.spec)
  if (compiled === null) return null
  const all = [...sources.byName.values()].map((source) =>
    withFieldsRead(source!.plan, features.spec, decide),
  )
  const [live, labelsOnly] = partition(all, ({ name }) => name === scored || isRead(features.spec, name))
  return {
    name,
    file: document.file,
    kafka: kafkaPlan(kafka, name),
    registryUrl: registry.url === '' ? null : registry.url,
    sources: live,
    labelSources: labelsOnly,
    featuresSpec: features.spec,
    features: compiled,
    model: {
      ...model,
      ...vectorHashesOf(model.inputs, {
        spec: features.spec,
        sources: live,
        fieldsOf: (source) => sources.byName.get(source)?.fields ?? null,
      }),
    },
    batch: { targetMs: batch.target, rowsMax: batch.rowsMax },
    decide,
    sinks: compileSinks(sinks) satisfies SinkPlan,
    redis: { url: store.redis },
    store: storePlan(store),
    limits: limitsPlan(limits),
    expressions,
    warnings: document.warnings,
    stateHash: stateHashOf(live, features.spec, compiled),
  }
}

function compileSources(
  document: TopologyDocument,
  { sections, faulty }: CheckedShape,
  folder: string,
): { byName: ReadonlyMap<string, CheckedSource | null>; scored: string | null } {
  const written = sections.sources ?? {}
  const limits: DecodeLimits = {
    recordMaxBytes: sections.limits?.recordMax ?? 0,
    futureMaxMs: sections.limits?.futureMax ?? 0,
  }
  const byName = new Map<string, CheckedSource | null>()
  const roles = new Map<string, string>()
  for (const name of faulty.sources) {
    byName.set(name, null)
    roles.set(name, String(document.at(['sources', name, 'role'])))
  }
  const readers = new Map<string, string>()
  for (const [name, options] of Object.entries(written)) {
    byName.set(name, compileSource(document, name, options, limits, folder))
    roles.set(name, options.role)
    const other = readers.get(options.topic)
    if (other !== undefined) {
      document.add(
        ['sources', name, 'topic'],
        `source ${other} reads ${options.topic} already.`,
        'Name another topic.',
      )
    }
    readers.set(options.topic, name)
  }
  // Without a known scored source nothing else can be judged; the first faulty one is taken for it.
  const scored = checkRoles(document, roles, faulty.sources.size > 0 || sections.sources === null)
  return { byName, scored: scored ?? [...faulty.sources][0] ?? null }
}

/** A state source that no feature reads holds labels for training. */
function isRead({ features }: FeaturesSpec, source: string): boolean {
  return features.some((feature) => feature.kind !== 'ratio' && feature.from === source)
}

function partition<T>(items: readonly T[], isFirst: (item: T) => boolean): [T[], T[]] {
  return [items.filter(isFirst), items.filter((item) => !isFirst(item))]
}

function compileRules(
  document: TopologyDocument,
  { sections }: CheckedShape,
  scored: CheckedSource | null,
  features: CheckedFeatures,
): Plan['decide'] | null {
  const fields = scored?.fields ?? null
  if (sections.decide === null || fields === null) return null
  const scope = ruleScope(fields, [...features.valueNames], [...features.featureNames])
  return compileDecide(document, sections.decide, scope, features.isFaulty)
}

function compileColumns(document: TopologyDocument, spec: FeaturesSpec): CompiledFeatures | null {
  try {
    return compileFeatures(spec)
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== 'TOPOLOGY_INVALID') throw error
    document.add(['features'], `${error.message}.`, '', { atKey: true })
    return null
  }
}

type Complete = { readonly [S in keyof Sections]: TopologyOptions[S] }

function complete(sections: Sections): Complete {
  for (const [name, section] of Object.entries(sections)) {
    if (section === null) throw new MillraceError('INTERNAL', `section ${name} is faulty without a problem`)
  }
  return sections as Complete
}

function kafkaPlan(kafka: KafkaOptions, name: string): KafkaPlan {
  const clientId = kafka.clientId ?? name
  const instance = kafka.instance || null // as `${env:NAME:-}` leaves it
  return {
    brokers: kafka.brokers,
    clientId: instance === null ? clientId : `${clientId}@${instance}`,
    instance,
    group: kafka.group ?? name,
    sessionTimeoutMs: kafka.sessionTimeout,
    transactionTimeoutMs: kafka.transactionTimeout,
    ssl: kafka.ssl,
    sasl: kafka.sasl ?? null,
  }
}

function storePlan(store: Complete['store']): StorePlan {
  return {
    cacheMaxBytes: store.cacheMax,
    unflushedRowsMax: store.unflushedMax.rows,
    unflushedAgeMaxMs: store.unflushedMax.age,
    outageMaxMs: store.outageMax,
    onLogGone: store.onLogGone,
    onPartitionsAdded: store.onPartitionsAdded,
    onForeignOffset: store.onForeignOffset,
  }
}

function limitsPlan(limits: Complete['limits']): LimitsPlan {
  return {
    rowsPerTransactionMax: limits.rowsPerTransactionMax,
    queuedRowsMax: limits.queuedRowsMax,
    deadLetterShareMax: limits.deadLetterShareMax,
    startWaitMs: limits.startWait,
    drainMs: limits.drain,
    stallMs: limits.stall,
  }
}

/** Plain objects and lists, all the way down; what the stages compiled is their own. */
function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null && !Array.isArray(value)) return value
  for (const member of Object.values(value)) freeze(member)
  return Object.freeze(value)
}
