import { expect, test } from 'vitest'
import { exampleEvents, exampleLines } from '../../../scripts/aggregates-doc.ts'
import { aggregateNames, aggregateOf } from '../../../src/features/aggregates/table.ts'
import { eventAt } from '../../support/feature-specs.ts'
import { OnePart } from '../../support/feature-row.ts'
import { load, topology } from '../topology/written.ts'

const minuteMs = 60_000
const noon = Date.UTC(2026, 0, 1, 12)

test('every worked number of docs/features.md is what its YAML gives', () => {
  const entries = aggregateNames.map((name) => `${name}_x: {${exampleLines(name).join(', ')}}`)
  const { features } = load(topology(['small_10m:', `${entries.join('\n  ')}\n  small_10m:`]))
  const part = new OnePart(features)
  const events = exampleEvents.map(([minutesAgo, amountCents], offset) =>
    eventAt(noon - minutesAgo * minuteMs, offset, { amountCents, ts: noon }),
  )
  part.insert(...events)
  const row = part.row(events.at(-1)!)
  for (const name of aggregateNames) {
    expect(row[`${name}_x`], name).toBeCloseTo(aggregateOf(name).example.gives, 4)
  }
})
