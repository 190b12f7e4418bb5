import { MillraceError } from '../errors.ts'
import { parseRedisAddress } from '../redis/address.ts'
import type { RedisClient, RedisMaster } from '../redis/client.ts'
import type { Clock } from '../time/clock.ts'
import { withTimeout } from '../time/deadline.ts'
import type { Plan } from '../topology/plan.ts'

/** At start: Redis answers in time, is what its address says, and keeps what it is given. */
export async function checkRedis(
  plan: Plan,
  redis: RedisClient,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const waiting = new AbortController()
  const either = AbortSignal.any([signal, waiting.signal])
  const { kind, shown } = parseRedisAddress(plan.redis.url)
  let masters: readonly RedisMaster[]
  try {
    masters = await withTimeout(redis.masters(either), plan.limits.startWaitMs, clock, `Redis ${shown}`)
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof MillraceError) throw error
    throw new MillraceError(
      'REDIS_UNREACHABLE',
      `Redis ${shown} did not answer within ${plan.limits.startWaitMs / 1000} s: ${redis.trouble ?? 'silence'}`,
      { cause: error },
    )
  } finally {
    waiting.abort()
  }
  for (const { address, mode, evictionPolicy } of masters) {
    if (kind !== 'cluster' && mode === 'cluster') {
      throw new MillraceError(
        'REDIS_MODE',
        `Redis ${shown} is part of a Redis Cluster: write redis+cluster://${address}`,
      )
    }
    if (evictionPolicy !== 'noeviction') {
      throw new MillraceError('REDIS_EVICTION', `Redis at ${address} has maxmemory-policy ${evictionPolicy}`)
    }
  }
}
