import { expect, test } from 'vitest'
import { createDeadLetterShare } from '../../../src/pipeline/dead-letter-share.ts'

test('nothing is judged before as many records as the bound speaks of', () => {
  const share = createDeadLetterShare({ share: 0.2, of: 100 })
  expect(share.add(99, 99)).toBeNull()
  expect(share.add(1, 1)).toBe(1)
})

test('a share at the bound passes, one above stops', () => {
  const share = createDeadLetterShare({ share: 0.2, of: 100 })
  expect(share.add(100, 20)).toBeNull()
  expect(share.add(100, 21)).toBe(0.21)
})

test('old slices are forgotten', () => {
  const share = createDeadLetterShare({ share: 0.2, of: 100 })
  share.add(50, 10)
  for (let i = 0; i < 10; i++) expect(share.add(50, 0)).toBeNull()
  expect(share.add(50, 30)).toBe(0.3)
})
