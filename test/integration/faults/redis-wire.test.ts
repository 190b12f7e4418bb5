import { Redis } from 'ioredis'
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../../src/time/system-clock.ts'
import { openRedisWire, type Wire } from '../../faults/wire/proxy.ts'
import { redisUrl, uniqueName } from '../../support/servers.ts'
import { until } from '../../support/until.ts'

const addScript = `return redis.call('INCRBY', KEYS[1], ARGV[1])`
const commandTimeoutMs = 500

interface Setup {
  readonly wire: Wire
  readonly redis: Redis & { readonly testAdd: (key: string, by: number) => Promise<number> }
  /** Not through the wire. */
  readonly direct: Redis
  readonly key: string
}

async function setUp(): Promise<Setup> {
  const { port } = new URL(redisUrl())
  const wire = await openRedisWire(Number(port), { scripts: new Map([['testAdd', addScript]]) })
  const redis = new Redis(wire.port, '127.0.0.1', {
    commandTimeout: commandTimeoutMs,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,

    retryStrategy: () => 20,
  })
  redis.on('error', () => {})
  redis.defineCommand('testAdd', { numberOfKeys: 1, lua: addScript })
  const direct = new Redis(redisUrl())
  const key = uniqueName('wire')
  onTestFinished(async () => {
    expect(wire.problems).toEqual([])
    redis.disconnect()
    await direct.del(key)
    direct.disconnect()
    await wire.close()
  })
  await direct.script('LOAD', addScript) // one EVALSHA per call, no EVAL after a refusal
  await redis.ping()
  return { wire, direct, key, redis: redis as Setup['redis'] }
}

test('a rule by the name of a script acts on nothing else, in a pipeline too', async () => {
  const { wire, redis, key } = await setUp()
  const startedAt = systemClock.monotonic()
  const rule = wire.rule({ on: 'testAdd', at: 'reply', action: { kind: 'delay', ms: 200 }, nth: 2 })
  const replies = await Promise.all([
    redis.testAdd(key, 1),
    redis.get(key),
    redis.testAdd(key, 2),
    redis.get(key),
  ])
  expect(replies).toEqual([1, '1', 3, '3'])
  expect(rule.hits).toBe(1)
  expect(systemClock.monotonic() - startedAt).toBeGreaterThanOrEqual(199)
  expect(wire.seen('testAdd')).toBe(2)
})

test('a script whose reply is lost ran; the connection is silent until it is reset', async () => {
  const { wire, redis, direct, key } = await setUp()
  wire.rule({ on: 'testAdd', at: 'reply', action: { kind: 'drop' }, nth: 1 })
  const lost = redis.testAdd(key, 1)
  await expect(lost).rejects.toThrow('Command timed out')
  expect(await direct.get(key)).toBe('1')
  await expect(redis.get(key)).rejects.toThrow('Command timed out')
  const isBack = new Promise<void>((resolve) => redis.once('ready', resolve))
  wire.cut('reset')
  wire.cut(null)
  await isBack
  expect(await redis.testAdd(key, 1)).toBe(2)
})

test('a script that never arrived did not run', async () => {
  const { wire, redis, direct, key } = await setUp()
  const rule = wire.rule({ on: 'testAdd', at: 'request', action: { kind: 'reset' }, nth: 1 })
  await expect(redis.testAdd(key, 1)).rejects.toThrow()
  expect(await direct.get(key)).toBeNull()
  expect(rule.hits).toBe(1)
})

test('a script that was held while its client went away runs late', async () => {
  const { wire, redis, direct, key } = await setUp()
  const release = Promise.withResolvers<void>()
  const action = { kind: 'hold', until: release.promise } as const
  const rule = wire.rule({ on: 'testAdd', at: 'request', action, nth: 1 })
  const held = expect(redis.testAdd(key, 5)).rejects.toThrow()
  await rule.hit
  redis.disconnect()
  await held
  expect(await direct.get(key)).toBeNull()
  release.resolve()
  await until('the script has run', async () => (await direct.get(key)) !== null)
  expect(await direct.get(key)).toBe('5')
})
