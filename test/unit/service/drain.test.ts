import { expect, test } from 'vitest'
import type { PartitionStatus } from '../../../src/pipeline/partition-status.ts'
import { drainWithin, type DrainingPartition } from '../../../src/service/drain.ts'
import { manualClock } from '../../../src/time/manual-clock.ts'

function partition(
  name: string,
  status: PartitionStatus,
  rest: Partial<DrainingPartition> = {},
): DrainingPartition {
  return { name, status, detail: '', isSliceOpen: false, unflushedRows: 0, ...rest }
}

/** How a drain ends that would never end by itself. */
async function exceeded(partitions: readonly DrainingPartition[], redisAnswers = true): Promise<unknown> {
  const clock = manualClock()
  const drained = drainWithin(new Promise(() => undefined), {
    limitMs: 20_000,
    clock,
    partitions: () => partitions,
    redisAnswers: () => redisAnswers,
  }).catch((error: unknown) => error)
  await clock.advance(20_000)
  return drained
}

test('a drain that takes too long says which partitions were open, what they waited for, and that nothing is lost', async () => {
  const error = await exceeded(
    [
      partition('tx:0', 'draining', { unflushedRows: 12 }),
      partition('tx:1', 'paused', { detail: 'changes wait for Redis', isSliceOpen: true }),
      partition('tx:2', 'stopped'),
      partition('tx:3', 'waiting', { detail: 'REDIS_UNREACHABLE' }),
    ],
    false,
  )
  expect(error).toMatchObject({
    code: 'DRAIN_EXCEEDED',
    exitCode: 1,
    message:
      'draining took longer than 20 s; Redis does not answer; still open: [tx:0 draining, changes of 12 rows wait for Redis] ' +
      '[tx:1 paused, changes wait for Redis, a slice is not committed] [tx:3 waiting, REDIS_UNREACHABLE]; ' +
      'nothing is lost: the next owner goes on from the committed positions',
    remedy: expect.stringContaining('limits.drain'),
  })
})

test('of many partitions a few are named', async () => {
  const many = Array.from({ length: 11 }, (_, index) => partition(`tx:${index}`, 'draining'))
  expect(((await exceeded(many)) as Error).message).toMatch(/\[tx:7 draining\] and 3 more;/)
})

test('when the partitions are done, it was the connections', async () => {
  expect(((await exceeded([partition('tx:0', 'stopped')])) as Error).message).toMatch(
    /connections were not closed/,
  )
})

test('any other end of a drain stays what it is', async () => {
  const parts = { limitMs: 1, clock: manualClock(), partitions: () => [], redisAnswers: () => true }
  await expect(drainWithin(Promise.resolve(), parts)).resolves.toBeUndefined()
  await expect(drainWithin(Promise.reject(new Error('other')), parts)).rejects.toThrow('other')
})
