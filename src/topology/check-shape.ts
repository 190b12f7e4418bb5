/** Values of the file → options, section by section, so that a mistake in one leaves the others to be checked. */
import type { z } from 'zod'
import { didYouMean } from '../expression/nearest.ts'
import { modelOptions } from '../model/options.ts'
import { sinkOptions } from '../sink/options.ts'
import type { TopologyDocument } from './document.ts'
import { topologyShape } from './options.ts'
import type { SectionName, TopologyOptions } from './options.ts'
import type { Path } from './problem.ts'

/** Checked sections; null, or without some keys, where there are problems. */
export type Sections = {
  readonly [S in SectionName]:
    (S extends PartSection ? Partial<TopologyOptions[S]> : TopologyOptions[S]) | null
}

/** Sections with keys that must be there: each key is checked by itself when the whole is wrong. */
type PartSection = 'model' | 'sinks'
const partShapes: Readonly<Record<PartSection, Readonly<Record<string, z.ZodType>>>> = {
  model: modelOptions.shape,
  sinks: sinkOptions.shape,
}

/** Sections of named entries, each entry checked by itself. */
const entrySections: ReadonlySet<SectionName> = new Set<SectionName>([
  'sources',
  'entities',
  'values',
  'features',
])

export interface CheckedShape {
  readonly sections: Sections
  /** Names of entries that are there but have problems: references to them are not dangling. */
  readonly faulty: Readonly<Record<'sources' | 'entities' | 'values' | 'features', ReadonlySet<string>>>
}

export function checkShape(document: TopologyDocument): CheckedShape {
  const { value } = document
  const root = isGroup(value) ? value : {}
  if (!isGroup(value) && !document.broken) {
    document.add([], 'this is not a topology.', 'Begin with "version: 1" and "name: …".')
  }
  const names = Object.keys(topologyShape)
  for (const key of Object.keys(root)) {
    if (!names.includes(key))
      document.add([key], 'is not a known key.', didYouMean(key, names), { atKey: true })
  }
  const faulty = {
    sources: new Set<string>(),
    entities: new Set<string>(),
    values: new Set<string>(),
    features: new Set<string>(),
  }
  const checked: Partial<Record<SectionName, unknown>> = {}
  for (const section of names as SectionName[]) {
    const written = root[section] ?? undefined
    checked[section] =
      entrySections.has(section) && isGroup(written)
        ? checkEntries(document, section as keyof typeof faulty, written, faulty)
        : checkWhole(document, section, written)
  }
  return { sections: checked as Sections, faulty }
}

function checkWhole(document: TopologyDocument, section: SectionName, written: unknown): unknown {
  const result = topologyShape[section].safeParse(written)
  if (result.success) return result.data
  report(document, result.error.issues, [section])
  const shape = section === 'model' || section === 'sinks' ? partShapes[section] : null
  if (shape === null || !isGroup(written))
    return repaired(topologyShape[section], written, result.error.issues)
  const parts = Object.entries(shape).map(([key, part]) => {
    const checked = part.safeParse(written[key])
    return [
      key,
      checked.success ? checked.data : (repaired(part, written[key], checked.error.issues) ?? undefined),
    ]
  })
  return Object.fromEntries(parts) as unknown
}

function checkEntries(
  document: TopologyDocument,
  section: 'sources' | 'entities' | 'values' | 'features',
  written: Readonly<Record<string, unknown>>,
  faulty: CheckedShape['faulty'],
): unknown {
  const checked: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(written)) {
    const result = topologyShape[section].safeParse({ [name]: value })
    if (result.success) Object.assign(checked, result.data)
    else {
      report(document, result.error.issues, [section])
      const rest = repaired(topologyShape[section], { [name]: value }, result.error.issues)
      if (rest !== null && Object.hasOwn(rest, name)) Object.assign(checked, rest)
      else (faulty[section] as Set<string>).add(name)
    }
  }
  return checked
}

// Each round takes out one level around what is wrong.
const repairsMax = 4

/**
 * What is left without the keys that are wrong, so that the rest is checked too; its problems are reported, so nothing
 * runs from it. Null when a key that must be there is wrong, ; of a list with a wrong item nothing is left.
 */
function repaired(schema: z.ZodType, written: unknown, issues: readonly Issue[]): object | null {
  const rest = structuredClone(written)
  let wrong = issues
  for (let round = 0; round < repairsMax; round++) {
    for (const issue of wrong) {
      const paths =
        issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...issue.path, key]) : [issue.path]
      for (const path of paths) if (!remove(rest, upToList(path as Path))) return null
    }
    const result = schema.safeParse(rest)
    if (result.success) return result.data as object
    wrong = result.error.issues
  }
  return null
}

/** Without an item, the others would move up and be reported at the wrong place. */
function upToList(path: Path): Path {
  const item = path.findIndex((part) => typeof part === 'number')
  return item < 0 ? path : path.slice(0, item)
}

/** Takes out the key at a path, or the group around it when it is not there (it was wrong, and then missing). */
function remove(root: unknown, path: Path): boolean {
  if (path.length === 0) return false
  const parent = path.slice(0, -1).reduce<unknown>((at, part) => (isGroup(at) ? at[part] : undefined), root)
  const name = String(path.at(-1))
  if (!isGroup(parent)) return false
  if (!Object.hasOwn(parent, name)) return remove(root, path.slice(0, -1))
  return Reflect.deleteProperty(parent, name)
}

function isGroup(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

type Issue = z.core.$ZodIssue

/** Of a union that has no words of its own. */
const unionMessage = 'Invalid input'

function report(document: TopologyDocument, issues: readonly Issue[], base: Path): void {
  const meant = suggested(issues)
  for (const issue of issues) {
    const path = [...base, ...(issue.path as Path)]
    if (isMissing(issue) && meant.has(issue.path.join('\n'))) continue
    if (issue.code === 'invalid_union' && issue.message !== unionMessage)
      add(document, path, issue.message, false)
    else if (issue.code === 'invalid_union') report(document, likeliest(issue.errors), path)
    else if (issue.code === 'unrecognized_keys') {
      const messages = issue.message.split('\n')
      issue.keys.forEach((key, i) => add(document, [...path, key], messages[i]!, true))
    } else if (issue.code === 'invalid_key')
      add(document, path, issue.issues[0]?.message ?? issue.message, true)
    else if (!(document.broken && issue.message.startsWith('is missing')))
      add(document, path, issue.message, false)
  }
}

/** Paths of keys that a misspelt one beside them probably means: they are not missing as well. */
function suggested(issues: readonly Issue[]): ReadonlySet<string> {
  const paths = issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? [...issue.message.matchAll(/Did you mean (\S+)\?/g)].map(([, key]) => [...issue.path, key].join('\n'))
      : [],
  )
  return new Set(paths)
}

function isMissing(issue: Issue): boolean {
  if (issue.code === 'invalid_union') return issue.errors.some((errors) => errors.every(isMissing))
  return issue.message.startsWith('is missing')
}

/** Messages are one sentence that says what is wrong and perhaps more that say what to do. */
function add(document: TopologyDocument, path: Path, text: string, atKey: boolean): void {
  const [, message, suggestion] = /^(.*?[.?])(?: (?=[A-Z])(.*))?$/s.exec(text) ?? ['', text, '']
  document.add(path, message, suggestion ?? '', { atKey })
}

/** Issues of the variant that was most likely meant: fewest problems, none about the kind of the value as a whole. */
function likeliest(variants: readonly (readonly Issue[])[]): readonly Issue[] {
  const cost = (issues: readonly Issue[]): number => issues.reduce((sum, issue) => sum + costOf(issue), 0)
  return variants.reduce((best, next) => {
    const difference = cost(next) - cost(best)
    if (difference !== 0) return difference < 0 ? next : best
    return isGuess(best) || next.every((issue) => issue.message.startsWith('is missing')) ? best : next
  })
}

function isGuess(issues: readonly Issue[]): boolean {
  return issues.some((issue) => issue.message.includes('Did you mean'))
}

function costOf(issue: Issue): number {
  if (issue.code === 'unrecognized_keys') return issue.keys.length
  // One key, in however many ways its value may be written.
  if (issue.path.length > 0) return 1
  if (issue.code === 'invalid_union')
    return Math.min(...issue.errors.map((errors) => errors.reduce((sum, one) => sum + costOf(one), 0)))
  // A group or a list was not meant where another kind of value stands.
  return issue.code === 'invalid_type' ? 20 : 10
}
