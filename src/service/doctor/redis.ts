import { parseRedisAddress } from '../../redis/address.ts'
import type { RedisServerFacts } from '../../redis/inspect.ts'
import type { Facts } from './facts.ts'
import { known, type Judge } from './kafka.ts'
import { fail, ok, warn, worst, type CheckId, type Finding } from './table.ts'

const memoryWarnShare = 0.8
const memoryFailShare = 0.97
/** Below the 5 s for which the news that a partition has caught up holds. */
const skewWarnMs = 2_000
/** The default of `align`: beyond it, alignment is no more than a guess. */
const skewFailMs = 30_000
const oldestVersion = [6, 2] as const

export const redisJudges = {
  'redis.reachable': ({ redis }) => {
    const { masters } = known(redis)
    return ok(`${masters.length === 1 ? 'one master' : `${masters.length} masters`}: ${list(masters)}`)
  },

  'redis.mode': ({ plan, redis }) => {
    const { kind } = parseRedisAddress(plan.redis.url)
    return each(redis, `as store.redis says: ${kind}`, ({ address, mode, role }) => {
      if (kind !== 'cluster' && mode === 'cluster') {
        return fail(
          `${address} is part of a Redis Cluster`,
          `Write redis+cluster://${address} in store.redis.`,
        )
      }
      if (mode === 'sentinel') {
        return fail(`${address} is a sentinel`, `Write redis+sentinel://${address}/NAME in store.redis.`)
      }
      if (role !== 'master') {
        return fail(
          `${address} is a ${role}`,
          'Name the master in store.redis, or the sentinels, which know it.',
        )
      }
      return ok(address)
    })
  },

  'redis.version': ({ redis }) =>
    each(
      redis,
      [...new Set(known(redis).masters.map(({ version }) => version))].join(', '),
      ({ address, version }) => {
        const [major = 0, minor = 0] = version.split('.').map(Number)
        if (major > oldestVersion[0] || (major === oldestVersion[0] && minor >= oldestVersion[1]))
          return ok(version)
        return warn(`${address} is ${version}`, 'Run Redis 6.2 or newer.')
      },
    ),

  'redis.eviction': ({ redis }) =>
    each(redis, 'noeviction', ({ address, evictionPolicy }) => {
      if (evictionPolicy === 'noeviction') return ok(address)
      return fail(
        `${address} has maxmemory-policy ${evictionPolicy}`,
        `redis-cli -u redis://${address} CONFIG SET maxmemory-policy noeviction (and in redis.conf)`,
      )
    }),

  'redis.memory': ({ redis }) =>
    each(redis, known(redis).masters.map(memoryText).join(', '), (server) => {
      const share = server.maxBytes === 0 ? 0 : server.usedBytes / server.maxBytes
      if (share < memoryWarnShare) return ok(server.address)
      const fix = `redis-cli -u redis://${server.address} CONFIG SET maxmemory … (and in redis.conf), or give it less to keep: docs/features.md tells how much that is`
      const found = `${server.address}: ${memoryText(server)}`
      return share < memoryFailShare ? warn(found, fix) : fail(found, fix)
    }),

  'redis.persistence': ({ redis }) =>
    each(
      redis,
      [...new Set(known(redis).masters.map(({ persistence }) => persistence))].join(', '),
      (server) => {
        if (server.persistence !== 'none' || server.replicas > 0) return ok(server.address)
        return warn(
          `${server.address} keeps nothing over a restart, and has no replica`,
          `redis-cli -u redis://${server.address} CONFIG SET appendonly yes (and in redis.conf), if rebuilds after a restart take too long for you`,
        )
      },
    ),

  'redis.scripts': ({ redis }) =>
    each(redis, 'scripts run', ({ address, scriptRefused }) => {
      if (scriptRefused === null) return ok(address)
      return fail(
        `${address} refuses a script: ${scriptRefused}`,
        'Allow the user the commands that docs/operating.md lists for Redis (ACL SETUSER … +eval +evalsha +hgetall …).',
      )
    }),

  'clock.skew': ({ redis }) => {
    const { masters } = known(redis)
    const shown = masters.map(({ skewMs, skewErrorMs }) => `${signed(skewMs)} ± ${Math.ceil(skewErrorMs)} ms`)
    return each(redis, `Redis less this machine: ${shown.join(', ')}`, ({ address, skewMs, skewErrorMs }) => {
      const sure = Math.abs(skewMs) - skewErrorMs
      if (sure <= skewWarnMs) return ok(address)
      const found = `the clock of ${address} is ${signed(skewMs)} ms off this machine's`
      const fix = 'Synchronise the clocks of all machines (chronyc tracking, timedatectl).'
      return sure <= skewFailMs ? warn(found, fix) : fail(found, fix)
    })
  },
} satisfies Partial<Record<CheckId, Judge>>

function each(redis: Facts['redis'], fine: string, judge: (server: RedisServerFacts) => Finding): Finding {
  return worst(known(redis).masters.map(judge), fine)
}

function list(masters: readonly RedisServerFacts[]): string {
  return masters.map(({ address }) => address).join(', ')
}

function memoryText({ usedBytes, maxBytes }: RedisServerFacts): string {
  const mb = (bytes: number): string => `${(bytes / 1024 ** 2).toFixed(bytes < 10 * 1024 ** 2 ? 1 : 0)} MB`
  return maxBytes === 0 ? `${mb(usedBytes)} used, no maxmemory` : `${mb(usedBytes)} of ${mb(maxBytes)} used`
}

function signed(ms: number): string {
  return `${ms >= 0 ? '+' : '−'}${Math.abs(Math.round(ms))}`
}
