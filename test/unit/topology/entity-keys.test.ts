import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { load, problemsOf, topology } from './written.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-problems-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** The small topology with fields of these types in both sources; `key` is that of the terminal. */
function withFields(key: string, own: object, ofLabels: object): string {
  const text = { type: 'string' }
  const schema = (name: string, fields: object): string => {
    const properties = { id: text, customer: text, terminal: text, ts: { type: 'integer' }, ...fields }
    const path = join(folder, `${name}.json`)
    writeFileSync(path, JSON.stringify({ type: 'object', properties }))
    return path
  }
  return topology(
    ['../schemas/transaction.schema.json', schema('own', { amountCents: { type: 'integer' }, x: own })],
    ['../schemas/label.schema.json', schema('labels', { fraud: { type: 'boolean' }, x: ofLabels })],
    ['terminal: {key: terminal, merge: true}', `terminal: {key: ${key}, merge: true}`],
  )
}

test.each([
  ['x', { type: 'array', items: { type: 'string' } }, 'x, the key of terminal, is a list in transactions'],
  ['[terminal, x]', { type: 'object', properties: { a: {} } }, 'x, the key of terminal, is an object'],
])('an entity by %s of %j, which no event has a key of, is a problem', (key, type, message) => {
  expect(problemsOf(withFields(key, type, type))).toMatchObject([
    { path: 'features.fraud_7d.over', message: expect.stringContaining(message) as string },
  ])
})

test('an entity whose key is a number in one source and text in another warns', () => {
  const { warnings } = load(withFields('x', { type: 'integer' }, { type: ['string', 'null'] }))
  expect(warnings.map(({ message }) => message)).toEqual([
    expect.stringContaining('is number in transactions and text in labels'),
  ])
  expect(load(withFields('x', { type: 'integer' }, { type: ['integer', 'null'] })).warnings).toEqual([])
  expect(load(withFields('x', { type: 'integer' }, {})).warnings).toEqual([])
})
