import { expect, test } from 'vitest'
import { didYouMean, nearest } from '../../../src/expression/nearest.ts'

test('a swapped, missing, extra or wrong letter still finds the name', () => {
  for (const written of ['custmoer', 'custmer', 'custoomer', 'cusdomer', 'Customer']) {
    expect(nearest(written, ['terminal', 'customer', 'amount'])).toBe('customer')
  }
})

test('the closest of several names is chosen', () => {
  expect(nearest('count_7', ['count_30d', 'count_7d', 'count_1d'])).toBe('count_7d')
})

test('a name that resembles nothing gets the list of what there is', () => {
  expect(didYouMean('zzzz', ['amount', 'night'])).toBe('Known: amount, night.')
  expect(didYouMean('zzzz', [])).toBe('There is none.')
})

test('a long list is cut', () => {
  const names = Array.from({ length: 20 }, (_, i) => `feature_number_${i}`)
  expect(didYouMean('x', names)).toMatch(/feature_number_11, …$/)
})
