import { expect, test } from 'vitest'
import { load, topology } from './written.ts'

function read(source: string, ...changes: readonly (readonly [from: string, to: string])[]): unknown {
  const found = load(topology(...changes)).sources.find(({ name }) => name === source)
  return found?.fieldsRead?.toSorted() ?? found?.fieldsRead
}

test('a source is read for its id, key and time, keys of entities and fields in expressions', () => {
  expect(read('transactions')).toEqual(['amountCents', 'customer', 'id', 'terminal', 'ts'])
  expect(read('labels')).toEqual(['customer', 'fraud', 'id', 'terminal', 'ts'])
})

test.each<[string, readonly [from: string, to: string]]>([
  ['of a rule', ['amount > 50', 'currency == "EUR"']],
  ['of a rule, behind event', ['amount > 50', 'event.currency == "EUR"']],
  ['of an outcome', ['score >= 0.9', 'currency == "EUR"']],
  ['of a value', ['amountCents / 100', 'amountCents / 100 + size(currency)']],
  ['of a condition', ['amountCents < 500', 'event["currency"] == "EUR"']],
])('a field %s is read', (_, [from, to]) => {
  const schema = ['../schemas/transaction.schema.json', '../test/unit/topology/open.schema.json'] as const
  expect(read('transactions', schema, [from, to])).toContain('currency')
})

test('of a field inside another, the one at the top is read, and a member with the dots in its name', () => {
  const schema = ['../schemas/transaction.schema.json', '../test/unit/topology/open.schema.json'] as const
  const fields = read('transactions', schema, [
    'id: id\n    key: customer',
    'id: after.id\n    key: customer',
  ])
  expect(fields).toEqual(expect.arrayContaining(['after', 'after.id']))
})

test.each<[string, readonly [from: string, to: string]]>([
  ['a condition', ['amountCents < 500', 'event[terminal] == 1']],
  ['a value', ['amountCents / 100', 'event[terminal]']],
  ['a rule', ['amount > 50', 'event[terminal] == 1']],
])('where %s names a field only when it runs, any may be read', (_, change) => {
  expect(read('transactions', change)).toBeNull()
})

test('of a source that only gives labels, any field may be asked for', () => {
  const { labelSources } = load(
    topology(['from: labels\n    aggregate: count\n    where: fraud', 'aggregate: count']),
  )
  expect(labelSources.map(({ fieldsRead }) => fieldsRead)).toEqual([undefined])
})
