import { expect, test } from 'vitest'
import { createDeadLetterShare, nothingCounted } from '../../../src/pipeline/dead-letter-share.ts'

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

/** As many ownerships as slices: each begins with what the one before it left. */
function overOwnerships(slices: readonly (readonly [records: number, dead: number])[], of = 100) {
  let counts = nothingCounted
  const shares = slices.map(([records, dead]) => {
    const share = createDeadLetterShare({ share: 0.2, of }, counts)
    const exceeded = share.add(records, dead)
    ;({ counts } = share)
    return exceeded
  })
  return { counts, shares }
}

test('a window goes on where the last owner left it: restarts do not empty the topic into the dead letters', () => {
  expect(overOwnerships([[99, 99], [1, 1]]).shares).toEqual([null, 1]) // prettier-ignore
  const { shares } = overOwnerships(Array.from({ length: 100 }, () => [1, 1] as const))
  expect(shares.findIndex((share) => share !== null)).toBe(99)
})

test.each([1, 7, 25, 99, 250])(
  'over ownerships of %i records a window forgets and stays small',
  (records) => {
    const clean = Array.from({ length: Math.ceil(600 / records) }, () => [records, 0] as const)
    const { counts, shares } = overOwnerships([[99, 99], ...clean])
    expect(shares.slice(Math.ceil(200 / records)).every((share) => share === null)).toBe(true)
    expect(counts.dead).toBe(0)
    expect(counts.records).toBeLessThanOrEqual(Math.max(records, 100) + 100)
  },
)

test('a share that stays just below the bound passes for ever, one above is noticed', () => {
  const mixed = (dead: number) => Array.from({ length: 200 }, () => [25, dead] as const)
  expect(overOwnerships(mixed(5)).shares.every((share) => share === null)).toBe(true)
  expect(overOwnerships(mixed(6)).shares.some((share) => share !== null)).toBe(true)
})

test('of a window that was larger, only the share counts', () => {
  const { counts } = createDeadLetterShare({ share: 0.2, of: 100 }, { records: 50_000, dead: 5_000 })
  expect(counts).toEqual({ records: 100, dead: 10 })
})
