import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { isTextLabel, labelIn, labelSourceOf, parseLabelField } from '../../../src/service/label-field.ts'
import { load, topology } from '../topology/written.ts'

const dir = mkdtempSync(join(tmpdir(), 'millrace-labels-'))
afterAll(() => rmSync(dir, { recursive: true }))

writeFileSync(
  join(dir, 'label.json'),
  JSON.stringify({
    type: 'object',
    properties: {
      id: { type: 'string' },
      terminal: { type: 'string' },
      ts: { type: 'integer' },
      fraud: { type: ['boolean', 'null'] },
      kind: { type: 'string' },
      amount: { type: 'number' },
      reasons: { type: 'array', items: { type: 'string' } },
      after: { type: 'object' },
      outcome: {
        type: ['object', 'null'],
        properties: {
          fraud: { type: 'boolean' },
          cost: { type: ['number', 'null'] },
          kind: { type: 'string' },
        },
      },
      parts: { type: 'array', items: { type: 'object', properties: { a: { type: 'integer' } } } },
      mixed: {},
    },
  }),
)
const plan = load(topology(['../schemas/label.schema.json', join(dir, 'label.json')]))
const check = (text: string): unknown => labelSourceOf(plan, parseLabelField(text)).name

describe('what --labels names is checked against the schema before anything is read', () => {
  test.each([
    ['labels.frued', /labels has no field frued\. Did you mean fraud\?/],
    ['label.fraud', /no source label\. Did you mean labels\?/],
    ['labels.reasons', /reasons is a list/],
    ['labels.fraud.yes', /fraud is of type boolean, so there is no fraud\.yes\./],
    ['labels.befor.fraud', /no field befor\./],
    ['labels.outcome.frued', /no field outcome\.frued\. Did you mean outcome\.fraud\?/],
    ['labels.outcome', /is an object\. Name one of its fields: labels\.outcome\.fraud, /],
    ['labels.parts', /parts is a list/],
    ['labels', /write SOURCE\.FIELD/],
    ['labels.', /write SOURCE\.FIELD/],
    ['.fraud', /write SOURCE\.FIELD/],
  ])('%s', (text, message) => {
    expect(() => check(text)).toThrow(expect.objectContaining({ code: 'USAGE' }))
    expect(() => check(text)).toThrow(message)
  })

  test.each([
    'labels.fraud',
    'labels.kind',
    'labels.amount',
    'labels.after.fraud',
    'labels.outcome.fraud',
    'labels.mixed',
  ])('%s is fine', (text) => {
    expect(check(text)).toBe('labels')
  })

  test('the scored source has labels too, where the outcome comes with the event', () => {
    expect(check('transactions.amountCents')).toBe('transactions')
  })

  test('a source that no feature reads is found', () => {
    const unread = load(
      topology(['from: labels\n    aggregate: count\n    where: fraud', 'aggregate: count']),
    )
    expect(unread.labelSources.map(({ name }) => name)).toEqual(['labels'])
    expect(labelSourceOf(unread, parseLabelField('labels.fraud')).name).toBe('labels')
  })
})

test.each([
  ['labels.fraud', false],
  ['labels.amount', false],
  ['labels.kind', true],
  ['labels.mixed', true],
  ['labels.after.fraud', true],
  ['labels.outcome.fraud', false],
  ['labels.outcome.cost', false],
  ['labels.outcome.kind', true],
])('%s is text: %s', (text, expected) => {
  expect(isTextLabel(plan, parseLabelField(text))).toBe(expected)
})

describe('the label of an event', () => {
  const label = (value: unknown, field = 'x'): unknown =>
    labelIn({ x: value }, { source: 'labels', field }, 'labels:0@5')

  test.each([
    [true, true],
    [false, false],
    [0, 0],
    ['', ''],
    ['stolen', 'stolen'],
    [7n, 7],
    [2n ** 60n, '1152921504606846976'],
    [null, null],
    [undefined, null],
    [NaN, null],
  ])('of %s is %s', (value, expected) => {
    expect(label(value)).toBe(expected)
  })

  test('is found inside objects, and under a name with dots', () => {
    expect(label({ y: { z: 1 } }, 'x.y.z')).toBe(1)
    expect(label({ y: null }, 'x.y.z')).toBe(null)
    expect(labelIn({ 'a.b': 1 }, { source: 's', field: 'a.b' }, '')).toBe(1)
  })

  test('is not an object or a list: said where, with the fields inside', () => {
    expect(() => label({ fraud: true })).toThrow(
      /it is an object in labels:0@5; name one of its fields: labels\.x\.fraud/,
    )
    expect(() => label([1])).toThrow(/it is a list in labels:0@5/)
  })
})
