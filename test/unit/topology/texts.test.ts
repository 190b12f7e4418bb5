import fc from 'fast-check'
import { expect, test } from 'vitest'
import { describePlan } from '../../../src/topology/describe.ts'
import { OnePart } from '../../support/feature-row.ts'
import { eventAt } from '../../support/feature-specs.ts'
import { load, problemsOf, topology } from './written.ts'

const feature = (name: string, aggregate: string): string =>
  `${name}: {over: customer, aggregate: ${aggregate}, value: terminal, window: 1d}`

const plan = load(
  topology([
    'small_10m:',
    `${feature('places', 'distinct')}\n  ${feature('loyal', 'modeShare')}\n  small_10m:`,
  ]),
)

test('distinct and the share of the mode of texts are those of the texts, also after a restart', () => {
  const text = fc.oneof(fc.constantFrom('a', 'b', 'ab', 'ba', '1', ''), fc.string({ maxLength: 5 }))
  fc.assert(
    fc.property(fc.array(fc.option(text), { minLength: 1, maxLength: 30 }), (texts) => {
      const part = new OnePart(plan.features)
      const events = texts.map((terminal, i) => eventAt(i, i, { terminal, amountCents: 1, ts: i }))
      part.insert(...events)
      part.reload()
      const there = texts.filter((one) => one !== null)
      const times = there.map((one) => there.filter((other) => other === one).length)
      const row = part.row(events.at(-1)!)
      expect(row['places']).toBe(new Set(there).size)
      expect(row['loyal']).toBe(there.length === 0 ? NaN : Math.max(...times) / there.length)
    }),
  )
})

test('describe says that a number is stored in place of the text', () => {
  const { features, state } = describePlan(plan)
  expect(features.find(({ name }) => name === 'places')?.definition).toContain('distinct of hash(terminal)')
  expect(state[0]?.columns).toContain('hash(terminal)')
})

test.each(['mode', 'last', 'sum'])('%s of a text is refused with what there is of texts', (aggregate) => {
  const [problem] = problemsOf(topology(['small_10m:', `${feature('x', aggregate)}\n  small_10m:`]))
  expect(problem).toMatchObject({
    path: 'features.x.value',
    message: 'this is text, and a number or a condition is needed.',
    suggestion: 'Of texts there are distinct and modeShare; for a number compare it, for example == "x".',
  })
})

test('numbers are counted as they are, in the column that other aggregates of them read', () => {
  const numbers = load(
    topology([
      'small_10m:',
      'n: {over: customer, aggregate: distinct, value: amountCents, window: 1d}\n  small_10m:',
    ]),
  )
  expect(describePlan(numbers).state[0]?.columns).toContain('amountCents')
})
