/** Values, entities and features of the file → FeaturesSpec. */
import { isName } from '../expression/scope.ts'
import { didYouMean } from '../expression/nearest.ts'
import { formatDuration } from '../expression/quantity.ts'
import { aggregateOf, aggregatesOfTexts } from '../features/aggregates/table.ts'
import type { AggregateOptions, EntityOptions, FeatureOptions, RatioOptions } from '../features/options.ts'
import type {
  AggregateSpec,
  EntitySpec,
  FeatureSpec,
  FeaturesSpec,
  ValueSpec,
  WindowSpec,
} from '../features/spec.ts'
import { checkAggregateKeys, settingsOf } from './aggregate-keys.ts'
import type { TopologyDocument } from './document.ts'
import { checkKeys } from './entity-keys.ts'
import { compileAt, eventExpression, eventPredicate, eventScope, ruleWords } from './expressions.ts'
import type { EventScope, Hints } from './expressions.ts'
import type { Path } from './problem.ts'
import type { CheckedSource } from './sources.ts'
import { expand, windowMark, writtenWindows } from './windows.ts'
import type { WrittenWindow } from './windows.ts'

export interface FeatureInputs {
  readonly document: TopologyDocument
  readonly scored: string
  /** Null: the source has problems of its own. */
  readonly sources: ReadonlyMap<string, CheckedSource | null>
  readonly entities: Readonly<Record<string, EntityOptions>>
  readonly faultyEntities: ReadonlySet<string>
  readonly values: Readonly<Record<string, string>>
  readonly faultyValues: ReadonlySet<string>
  readonly features: Readonly<Record<string, FeatureOptions>>
  readonly faultyFeatures: ReadonlySet<string>
  readonly eventsPerEntityMax: number
}

export interface CheckedFeatures {
  readonly spec: FeaturesSpec
  /** Values and features by name, also those that have problems (then without expression). */
  readonly valueNames: ReadonlySet<string>
  readonly featureNames: ReadonlySet<string>
  /** A name that a feature with problems may define. */
  readonly isFaulty: (name: string) => boolean
  /** A value or feature, or a name that a faulty one may define. */
  readonly mayBe: (name: string) => boolean
}

/** One feature after `{window}` was put in. */
interface Expanded<Options> {
  readonly name: string
  readonly path: Path
  readonly window: WrittenWindow | null
  readonly options: Options
}

export function compileFeatureSpecs(inputs: FeatureInputs): CheckedFeatures {
  const scopes = new Map<string, EventScope>()
  for (const [name, source] of inputs.sources) if (source?.fields) scopes.set(name, eventScope(source.fields))
  const expanded = Object.entries(inputs.features).flatMap(([name, options]) =>
    expandFeature(inputs, name, options),
  )
  const valueNames = new Set([...Object.keys(inputs.values), ...inputs.faultyValues])
  const featureNames = new Set(expanded.map(({ name }) => name))
  const unexpanded = Object.keys(inputs.features).filter(
    (name) => !expanded.some(({ path }) => path[1] === name),
  )
  const faulty = [...inputs.faultyFeatures, ...unexpanded].map(patternOf)
  const isFaulty = (name: string): boolean => faulty.some((pattern) => pattern.test(name))
  const mayBe = (name: string): boolean => valueNames.has(name) || featureNames.has(name) || isFaulty(name)

  checkNames(inputs, expanded)
  const values = Object.entries(inputs.values).flatMap(([name, text]) =>
    compileValue(inputs, scopes, name, text),
  )
  const features = expanded.flatMap((feature): FeatureSpec[] => {
    const { options } = feature
    if ('ratio' in options)
      return compileRatio(inputs, { ...feature, options }, mayBe, [...valueNames, ...featureNames])
    return compileAggregate(inputs, scopes, { ...feature, options })
  })
  checkCycles(inputs, expanded)
  const entities = Object.entries(inputs.entities).map(([name, { key, merge }]): EntitySpec => ({
    name,
    keys: key,
    merge,
  }))
  const { scored, eventsPerEntityMax } = inputs
  return {
    spec: { entities, scored, values, features, eventsPerEntityMax },
    valueNames,
    featureNames,
    isFaulty,
    mayBe,
  }
}

function patternOf(name: string): RegExp {
  const parts = name.split(windowMark).map((part) => part.replaceAll(/[^\w]/g, '.'))
  return new RegExp(`^${parts.join('.*')}$`)
}

function expandFeature(
  { document }: FeatureInputs,
  name: string,
  options: FeatureOptions,
): readonly Expanded<FeatureOptions>[] {
  const path = ['features', name]
  const marked = name.includes(windowMark)
  if (options.window === undefined) {
    if (!marked) return [{ name, path, window: null, options }]
    // Where a key is misspelt, it is probably that one.
    if (document.problems.some((problem) => problem.path.startsWith(`${path.join('.')}.`))) return []
    document.add(
      path,
      'the name holds {window}, and there is no window to put in.',
      'Add window: [1d, 7d].',
      {
        atKey: true,
      },
    )
    return []
  }
  const windows = writtenWindows(document.at([...path, 'window']), options.window)
  if (!marked && windows.length > 1) {
    document.add(
      path,
      `${windows.length} windows need {window} in the name.`,
      `Write ${name}_{window}, or one window.`,
      { atKey: true },
    )
    return []
  }
  return windows.map((window) => ({ name: expand(name, window.text), path, window, options }))
}

function checkNames(inputs: FeatureInputs, expanded: readonly Expanded<FeatureOptions>[]): void {
  const { document, sources, scored } = inputs
  const fields = sources.get(scored)?.fields
  const seen = new Map<string, string>()
  for (const name of Object.keys(inputs.values)) {
    const path = ['values', name]
    if (!isName(name) || (ruleWords as readonly string[]).includes(name)) {
      document.add(path, `${name} is a word of expressions.`, 'Choose another name.', { atKey: true })
    } else if (fields?.has(name) === true) {
      const suggestion = `The field ${name} could no longer be named in rules; choose another name.`
      document.add(path, `${name} is a field of ${scored} too.`, suggestion, { atKey: true })
    }
    seen.set(name, 'a value')
  }
  for (const { name, path } of expanded) {
    const earlier = seen.get(name)
    if (earlier !== undefined) {
      document.add(
        path,
        `${name} is the name of ${earlier} already.`,
        'Names of values and features are unique.',
        {
          atKey: true,
        },
      )
    } else if (!isName(name)) {
      document.add(
        path,
        `${name} is not a name that expressions can use.`,
        'Use letters, digits and _ (1d, not 1.5d).',
        {
          atKey: true,
        },
      )
    }
    seen.set(name, `feature ${String(path[1])}`)
  }
}

function compileValue(
  inputs: FeatureInputs,
  scopes: ReadonlyMap<string, EventScope>,
  name: string,
  text: string,
): ValueSpec[] {
  const scope = scopes.get(inputs.scored)
  if (scope === undefined) return []
  const compiled = compileAt(inputs.document, ['values', name], text, scope, 'number', hintsOf(inputs))
  return compiled === null ? [] : [{ name, expression: eventExpression(compiled, ['values', name]) }]
}

function hintsOf({ values }: FeatureInputs): Hints {
  return {
    suggest: (word) =>
      Object.hasOwn(values, word) ? `${word} is a value; write its expression: (${values[word]}).` : null,
  }
}

const ofText = `Of texts there are ${aggregatesOfTexts.join(' and ')}; for a number compare it, for example == "x".`

function compileAggregate(
  inputs: FeatureInputs,
  scopes: ReadonlyMap<string, EventScope>,
  { name, path, window, options }: Expanded<AggregateOptions>,
): FeatureSpec[] {
  const { document, scored } = inputs
  const from = options.from ?? scored
  const fits = checkAggregateKeys(document, path, options, scored)
  const known = checkOver(inputs, path, options, from)
  const scope = scopes.get(from)
  if (scope === undefined || window === null || !known) return []
  const hints = hintsOf(inputs)
  const expected = aggregateOf(options.aggregate).value === 'any' ? 'label' : 'number'
  const value =
    options.value === undefined
      ? undefined
      : compileAt(document, [...path, 'value'], options.value, scope, expected, { ...hints, ofText })
  const where =
    options.where === undefined
      ? undefined
      : compileAt(document, [...path, 'where'], options.where, scope, 'boolean', hints)
  if (!fits || !checkDelay(inputs, path, options, from) || value === null || where === null) return []
  const shape: WindowSpec = {
    windowMs: window.windowMs,
    delayMs: options.delay,
    edges: options.edges,
    current: options.current ?? aggregateOf(options.aggregate).current ?? true,
  }
  const settings = settingsOf(options)
  return [
    {
      kind: 'aggregate',
      name,
      over: options.over,
      from,
      ...shape,
      aggregate: options.aggregate,
      value: value === undefined ? null : eventExpression(value, [...path, 'value']),
      where: where === undefined ? null : eventPredicate(where, [...path, 'where']),
      divideBy: options.divideBy ?? 1,
      settings,
      default:
        options.default === undefined ? aggregateOf(options.aggregate).empty(settings) : options.default,
    } satisfies AggregateSpec,
  ]
}

/**
 * What other partitions feed is complete at t − delay once they have seen t − delay + outOfOrder. With a shorter delay that
 * lies behind the event: partitions would wait for each other's future.
 */
function checkDelay(
  { document, entities, sources, scored }: FeatureInputs,
  path: Path,
  { over, delay }: AggregateOptions,
  from: string,
): boolean {
  // Without one, a delayed read waits for the end of the log.
  const outOfOrderMs = sources.get(from)?.plan.disorderMaxMs ?? 0
  const isOwn = from === scored && entities[over]?.merge === false
  if (isOwn || delay === 0 || delay >= outOfOrderMs) return true
  const least = formatDuration(outOfOrderMs)
  document.add(
    [...path, 'delay'],
    `${formatDuration(delay)} is shorter than outOfOrder of ${from} (${least}): every event would wait until align ends.`,
    `Write ${least} or more, or no delay: then an event sees what the other partitions have flushed.`,
  )
  return false
}

/** The entity and the source exist and fit together. */
function checkOver(inputs: FeatureInputs, path: Path, options: AggregateOptions, from: string): boolean {
  const { document, entities, faultyEntities, sources } = inputs
  if (!sources.has(from)) {
    document.add([...path, 'from'], `there is no source ${from}.`, didYouMean(from, sources.keys()))
    return false
  }
  const entity = entities[options.over]
  if (entity === undefined) {
    if (faultyEntities.has(options.over)) return false
    document.add(
      [...path, 'over'],
      `there is no entity ${options.over}.`,
      didYouMean(options.over, Object.keys(entities)),
    )
    return false
  }
  if (!checkKeys(inputs, path, options.over, from)) return false
  const partitionKey = sources.get(from)?.plan.keyField
  if (entity.merge || partitionKey === undefined || entity.key.includes(partitionKey)) return true
  document.add(
    [...path, 'over'],
    `events of one ${options.over} are spread over the partitions of ${from}, whose key is ${partitionKey}.`,
    `Write merge: true under entities.${options.over}.`,
  )
  return false
}

function compileRatio(
  { document }: FeatureInputs,
  { name, path, window, options }: Expanded<RatioOptions>,
  mayBe: (name: string) => boolean,
  names: readonly string[],
): FeatureSpec[] {
  const operand = (key: 'of' | 'to'): string | null => {
    const written = options.ratio[key]
    const operandName = window === null ? written : expand(written, window.text)
    if (mayBe(operandName)) return operandName
    const suggestion =
      written.includes(windowMark) && window === null
        ? 'Add window: to expand {window}.'
        : didYouMean(operandName, names)
    document.add([...path, 'ratio', key], `there is no value or feature ${operandName}.`, suggestion)
    return null
  }
  const [of, to] = [operand('of'), operand('to')]
  return of === null || to === null ? [] : [{ kind: 'ratio', name, of, to, default: options.default }]
}

/** A ratio must not be computed from itself, directly or through others. */
function checkCycles({ document }: FeatureInputs, expanded: readonly Expanded<FeatureOptions>[]): void {
  const operands = new Map<string, readonly string[]>()
  for (const { name, window, options } of expanded) {
    if (!('ratio' in options)) continue
    const { of, to } = options.ratio
    operands.set(name, window === null ? [of, to] : [expand(of, window.text), expand(to, window.text)])
  }
  const settled = new Set<string>()
  const visit = (name: string, trail: readonly string[]): readonly string[] | null => {
    if (trail.includes(name)) return [...trail.slice(trail.indexOf(name)), name]
    if (settled.has(name)) return null
    settled.add(name)
    for (const next of operands.get(name) ?? []) {
      const cycle = visit(next, [...trail, name])
      if (cycle !== null) return cycle
    }
    return null
  }
  for (const { name, path } of expanded) {
    const cycle = operands.has(name) ? visit(name, []) : null
    if (cycle === null) continue
    document.add(
      [...path, 'ratio'],
      `this ratio is computed from itself: ${cycle.join(' → ')}.`,
      'Break the circle.',
    )
  }
}
