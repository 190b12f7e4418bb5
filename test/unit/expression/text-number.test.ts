import { expect, test } from 'vitest'
import { textNumber } from '../../../src/expression/text-number.ts'

test('a text has the number that stored state of earlier versions has for it', () => {
  expect(textNumber('')).toBe(3338908027751811)
  expect(textNumber('a')).toBe(7929297801672961)
  expect(textNumber('FR')).toBe(textNumber(['F', 'R'].join('')))
})

test('different texts of the shapes of the field have different numbers, whole and below 2^53', () => {
  const shapes: ((i: number) => string)[] = [
    String,
    (i) => `terminal-${i}`,
    (i) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`,
    (i) => `${i * 7919}@example.com`,
    (i) => String.fromCharCode(97 + (i % 26), 97 + ((i / 26) % 26), 97 + ((i / 676) % 26), 97 + i / 17_576),
  ]
  const each = 40_000
  const texts = new Set(shapes.flatMap((shape) => Array.from({ length: each }, (_, i) => shape(i))))
  const numbers = new Set([...texts].map(textNumber))
  expect(numbers.size).toBe(texts.size)
  expect([...numbers].every((number) => Number.isSafeInteger(number) && number >= 0)).toBe(true)
})
