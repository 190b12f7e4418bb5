/** The sections of docs/features.md on each aggregate, from the table in src/features/aggregates. */
import { aggregateNames, aggregateOf } from '../src/features/aggregates/table.ts'
import type { AggregateName } from '../src/features/aggregates/table.ts'

const begin = '<!-- aggregates: written by scripts/generate-schemas.ts -->'
const end = '<!-- end of aggregates -->'

/** Puts the sections between the markers of the document. */
export function withAggregates(document: string): string {
  const [from, to] = [document.indexOf(begin), document.indexOf(end)]
  if (from < 0 || to < from) throw new Error('docs/features.md lacks the markers of the aggregates')
  return `${document.slice(0, from + begin.length)}\n\n${aggregatesDoc()}\n\n${document.slice(to)}`
}

/** What the examples are computed from: minutes before the event, and the amount. */
export const exampleEvents: readonly (readonly [minutesAgo: number, amountCents: number])[] = [
  [50, 20],
  [40, 40],
  [20, 10],
  [10, 10],
  [0, 30],
]

const picture = `\`\`\`text
minutes   −60       −50       −40       −30       −20       −10         0  the event
amountCents (        20        40                  10        10        30 ]
            └──────────────────────── window: 1h ───────────────────────┘
\`\`\``

const mergedTexts = { sum: 'added up', each: 'compared', log: 'in one order' } as const

/** The lines of an example below its name. */
export function exampleLines(name: AggregateName): readonly string[] {
  return ['over: customer', `aggregate: ${name}`, ...aggregateOf(name).example.lines, 'window: 1h']
}

function aggregatesDoc(): string {
  const intro = `The worked numbers are those of five payments of one customer, computed by a test:\n\n${picture}`
  return [intro, ...aggregateNames.map(section)].join('\n\n')
}

function section(name: AggregateName): string {
  const { gives, ofNothing, merged, value, example } = aggregateOf(name)
  const sentence = gives[0] === '`' ? gives : `${gives[0]!.toUpperCase()}${gives.slice(1)}`
  const stored = value === 'none' ? 'time' : 'time and value'
  const texts = value === 'any' ? ' `value` may be a text.' : ''
  const yaml = [`${name}_1h:`, ...exampleLines(name).map((line) => `  ${line}`)].join('\n')
  return [
    `### ${name}`,
    `${sentence}.${texts}`,
    `\`\`\`yaml\n${yaml}\n\`\`\``,
    `gives **${example.gives}**. Without events: ${ofNothing}. Merged: ${mergedTexts[merged]}. Stored of an event: ${stored}.`,
  ].join('\n\n')
}
