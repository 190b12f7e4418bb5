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

test('numbers beyond 2^53 are told apart by their digits, also in pairs', () => {
  expect(keyOf(9_007_199_254_740_993n)).toBe('9007199254740993')
  expect(keyOf(9_007_199_254_740_993n)).not.toBe(keyOf(9_007_199_254_740_992n))
  expect(keyOf('c', 9_007_199_254_740_993n)).not.toBe(keyOf('c', 9_007_199_254_740_992n))
  expect(keyOf(9_007_199_254_740_993n, 'c')).not.toBe(keyOf(9_007_199_254_740_992n, 'c'))
})

test('a number is the same entity as a double, a bigint and text, whatever its size and sign', () => {
  for (const value of [0, 5, 2 ** 53, 1e21, 1e300]) {
    const digits = BigInt(value).toString()
    expect([keyOf(value), keyOf(BigInt(value)), keyOf(digits)]).toEqual([digits, digits, digits])
  }
  expect(keyOf(-0)).toBe('0')
})

test('a key field may lie inside others, and a field whose name holds the dots goes before', () => {
  const of = (fields: Record<string, unknown>) => entityKeyOf(['after.id', 'user-id'], eventAt(0, 0, fields))
  expect(of({ after: { id: 'a' }, 'user-id': 7 })).toBe('1:a7')
  expect(of({ after: { id: 'a' }, 'after.id': 'b', 'user-id': 7 })).toBe('1:b7')
  expect(of({ after: null, 'user-id': 7 })).toBeNull()
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
  expect(keyOf('a\ud83d\ude00')).toBe('a\ud83d\ude00')
})

test('keys without UTF-8 form are told apart', () => {
  const keys = ['\ud800', '\udbff', '\udc00', '\udfff', '\ufffd', 'a\ud800', '\ud800a']
  expect(new Set(keys.map((key) => keyOf(key))).size).toBe(keys.length)
})
