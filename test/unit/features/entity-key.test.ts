import fc from 'fast-check'
import { expect, test } from 'vitest'
import { entityKeyOf } from '../../../src/features/entity-key.ts'
import { eventAt } from '../../support/feature-specs.ts'

const keyOf = (...values: unknown[]): string | null =>
  entityKeyOf(
    values.map((_, i) => `k${i}`),
    eventAt(0, 0, Object.fromEntries(values.map((value, i) => [`k${i}`, value]))),
  )

test('a single key is its own text, numbers in decimal', () => {
  expect(keyOf('c-1')).toBe('c-1')
  expect(keyOf(42)).toBe('42')
  expect(keyOf(42n)).toBe('42')
})

test.each([null, undefined, NaN, {}])('%s in a key field means that there is no entity', (missing) => {
  expect(keyOf(missing)).toBeNull()
  expect(keyOf('c', missing)).toBeNull()
  expect(keyOf(missing, 't')).toBeNull()
})

test('two different pairs never share a key, even when their texts run together the same', () => {
  expect(keyOf('ab', 'c')).not.toBe(keyOf('a', 'bc'))
  const text = fc.string({ unit: fc.constantFrom('a', '1', ':', '|') })
  fc.assert(
    fc.property(text, fc.nat(), fc.nat(), (whole, one, other) => {
      const splitAt = (at: number): string[] => [whole.slice(0, at), whole.slice(at)]
      const [here, there] = [one, other].map((at) => at % (whole.length + 1))
      expect(keyOf(...splitAt(here!)) === keyOf(...splitAt(there!))).toBe(here === there)
    }),
  )
})

test('a key without UTF-8 form is the same entity in memory and in the store', () => {
  const key = keyOf('\ud800')!
  expect(Buffer.from(key, 'utf8').toString('utf8')).toBe(key)
})
