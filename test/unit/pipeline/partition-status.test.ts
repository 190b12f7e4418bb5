import { expect, test } from 'vitest'
import { legalMoves, partitionStatuses } from '../../../src/pipeline/partition-status.ts'

test('every status can be reached, and every status but the final ones can end', () => {
  const reachable = new Set(['waiting'])
  for (let grown = 0; grown !== reachable.size;) {
    grown = reachable.size
    for (const status of partitionStatuses) {
      if (reachable.has(status)) for (const next of legalMoves[status]) reachable.add(next)
    }
  }
  expect([...reachable].toSorted()).toEqual([...partitionStatuses].toSorted())
  for (const status of partitionStatuses) {
    const final = status === 'stopped' || status === 'failed'
    expect(legalMoves[status].length === 0).toBe(final)
    if (!final) expect(legalMoves[status]).toContain('stopped')
  }
})
