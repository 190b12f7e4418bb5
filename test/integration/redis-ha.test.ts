import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Layout } from '../../src/features/compiled.ts'
import { createRedisStore, featureScripts } from '../../src/features/redis-store.ts'
import type { FeatureStore, FlushRequest } from '../../src/features/store.ts'
import { openRedis, type RedisClient } from '../../src/redis/client.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { systemClock } from '../../src/time/system-clock.ts'
import { ClusterServers } from '../support/redis/cluster.ts'
import { replicated, stopAll, type RedisNode } from '../support/redis/node.ts'
import { SentinelServers } from '../support/redis/sentinel.ts'
import { startStandalone } from '../support/redis/standalone.ts'
import { uniqueName } from '../support/unique-name.ts'
import { until } from '../support/until.ts'

const layouts: readonly Layout[] = [
  {
    index: 0,
    entity: 'e',
    source: 'tx',
    merge: false,
    shared: false,
    delayed: false,
    horizonMs: 1000,
    columns: ['time'],
  },
]
const { signal } = new AbortController()
const password = 'pass-word'

interface Opened {
  readonly store: FeatureStore
  readonly client: RedisClient
  readonly namespace: string
  /** What the client logged. */
  readonly logged: string[]
}

function open(url: string, buckets: number): Opened {
  const logged: string[] = []
  const log = createLog({ level: 'info', format: 'json', colour: false, write: (line) => logged.push(line) })
  const client = openRedis({ plan: { url }, scripts: featureScripts, clock: systemClock, log })
  onTestFinished(() => client.close())
  const namespace = uniqueName('ha')
  return { client, namespace, logged, store: createRedisStore({ client, namespace, layouts, buckets }) }
}

function request(expected: string | null, next: string, keys: readonly string[] = []): FlushRequest {
  const changes = keys.map((entityKey) => ({
    layout: 0,
    entityKey,
    kind: 'set' as const,
    bytes: Buffer.from(next),
  }))
  return { inputName: 'tx:0', expected, next, changes, ttlMs: 600_000 }
}

async function loaded(store: FeatureStore, bucket: number, keys: readonly string[]): Promise<unknown[]> {
  const own = keys.map((entityKey) => ({ layout: 0, entityKey }))
  const { own: parts, watermarks } = await store.load(bucket, { inputName: 'tx:0', own, merged: [] }, signal)
  return [watermarks.get('tx:0'), ...parts.map((part) => part?.toString())]
}

async function folder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'millrace-ha-'))
}

describe('the store on Sentinel', () => {
  let servers: SentinelServers
  let dir: string
  beforeAll(async () => {
    dir = await folder()
    servers = await SentinelServers.start({ dir, password })
  })
  afterAll(async () => {
    await servers.stop()
    await rm(dir, { recursive: true, force: true })
  })

  test('takes credentials of servers and of sentinels', async () => {
    const { store, client } = open(servers.url, 1)
    await store.flush(0, request(null, 'w1', ['a']), signal)
    expect(await loaded(store, 0, ['a'])).toEqual(['w1', 'w1'])
    expect(await client.masters(signal)).toMatchObject([{ evictionPolicy: 'noeviction' }])
    for (const wrong of [servers.url.replace(`:${password}@`, ':wrong@'), servers.url.split('?')[0] ?? '']) {
      const refused = open(wrong, 1).client.masters(signal)
      await expect(refused).rejects.toMatchObject({ code: 'REDIS_UNAUTHORISED' })
      await expect(refused).rejects.not.toThrow(password)
    }
  })

  test('leaves a master that stands still for the one that took its place', async () => {
    const { store } = open(servers.url, 1)
    await store.flush(0, request(null, 'w1', ['a']), signal)
    const stalled = await servers.master()
    const replica = await servers.replica()
    await servers.replicated()
    stalled.stall()
    onTestFinished(async () => {
      stalled.resume()
      await servers.following()
    })
    expect(await store.flush(0, request('w1', 'w2', ['a']), signal)).toEqual({ applied: true, current: 'w2' })
    expect(await servers.master()).toBe(replica)
    expect(await loaded(store, 0, ['a'])).toEqual(['w2', 'w2'])
  })

  test('finds the master again after it was made a replica without a word', async () => {
    const { store } = open(servers.url, 1)
    await store.flush(0, request(null, 'w1', ['a']), signal)
    await servers.switchMaster() // with w1: what is acknowledged is not yet replicated
    await servers.following()
    expect(await store.flush(0, request('w1', 'w2', ['a']), signal)).toEqual({ applied: true, current: 'w2' })
    expect(await loaded(store, 0, ['a'])).toEqual(['w2', 'w2'])
  })
})

describe('the store on a cluster', () => {
  let servers: ClusterServers
  let dir: string
  beforeAll(async () => {
    dir = await folder()
    servers = await ClusterServers.start({ dir, password })
  })
  afterAll(async () => {
    await servers.stop()
    await rm(dir, { recursive: true, force: true })
  })
  const buckets = Array.from({ length: 64 }, (_, bucket) => bucket)

  test('keeps every bucket in one slot, and uses all masters', async () => {
    const { store, client } = open(servers.url, 64)
    await Promise.all(buckets.map((bucket) => store.flush(bucket, request(null, 'w1', ['a', 'b']), signal)))
    for (const bucket of buckets) expect(await loaded(store, bucket, ['a', 'b'])).toEqual(['w1', 'w1', 'w1'])
    expect(await client.masters(signal)).toMatchObject(
      Array.from({ length: 3 }, () => ({ mode: 'cluster', evictionPolicy: 'noeviction' })),
    )
    for (const master of await servers.masters()) {
      expect(Number(await master.command('DBSIZE'))).toBeGreaterThan(30) // of 192
    }
    const wrong = open(servers.url.replace(`:${password}@`, ':wrong@'), 64).client.masters(signal)
    await expect(wrong).rejects.toMatchObject({ code: 'REDIS_UNAUTHORISED' })
  })

  test('a bucket whose slot is being moved waits until all of it is there; nothing is lost or torn', async () => {
    const { store, namespace, logged } = open(servers.url, 64)
    const keys = ['a', 'b', 'c', 'd', 'e', 'f']
    await Promise.all(buckets.map((bucket) => store.flush(bucket, request(null, 'w1', keys), signal)))
    const slot = await servers.slotOf(`${namespace}:{7}:W`)
    const source = await servers.masterOf(slot)
    const target = (await servers.masters()).find((node) => node !== source) as RedisNode
    let waiting: Promise<unknown[]> = Promise.resolve([])
    await servers.moveSlot(slot, target, async () => {
      waiting = Promise.all(buckets.map((bucket) => store.flush(bucket, request('w1', 'w2', keys), signal)))
      await until('the client is told to try again', () => logged.some((line) => line.includes('TRYAGAIN')))
    })
    expect(await waiting).toEqual(buckets.map(() => ({ applied: true, current: 'w2' })))
    expect(await servers.masterOf(slot)).toBe(target)
    for (const bucket of [6, 7, 8]) {
      expect(await loaded(store, bucket, keys)).toEqual(['w2', ...keys.map(() => 'w2')])
    }
  })

  test('goes on with the replica of a master that crashed or stands still', async () => {
    const { store, namespace } = open(servers.url, 64)
    const flush = (expected: string | null, next: string): Promise<unknown[]> =>
      Promise.all(buckets.map((bucket) => store.flush(bucket, request(expected, next, ['a']), signal)))
    const done = (next: string): unknown[] => buckets.map(() => ({ applied: true, current: next }))
    await flush(null, 'w1')
    const slot = await servers.slotOf(`${namespace}:{7}:W`)
    const crashed = await servers.masterOf(slot)
    await servers.replicated(crashed)
    await crashed.kill()
    expect(await flush('w1', 'w2')).toEqual(done('w2'))
    await crashed.restart()
    await servers.healthy()
    const stalled = await servers.masterOf(slot)
    expect(stalled).not.toBe(crashed)
    await servers.replicated(stalled)
    stalled.stall()
    try {
      expect(await flush('w2', 'w3')).toEqual(done('w3'))
    } finally {
      stalled.resume()
    }
    await servers.healthy()
    expect(await loaded(store, 7, ['a'])).toEqual(['w3', 'w3'])
  })
})

describe('the store on one server', () => {
  test('waits for a server that refuses writes: a replica, or one without memory', async () => {
    const dir = await folder()
    const redis = await startStandalone({ dir })
    onTestFinished(async () => {
      await redis.kill()
      await rm(dir, { recursive: true, force: true })
    })
    const { store, logged } = open(redis.url, 1)
    const told = (word: string): Promise<void> =>
      until(word, () => logged.some((line) => line.includes(word)))
    await store.flush(0, request(null, 'w1', ['a']), signal)

    await redis.limitMemory(0)
    const full = store.flush(0, request('w1', 'w2', ['a', 'b']), signal)
    await told('REDIS_FULL')
    expect(await loaded(store, 0, ['a', 'b'])).toEqual(['w1', 'w1', undefined]) // not torn, and still readable
    await redis.limitMemory(null)
    expect(await full).toEqual({ applied: true, current: 'w2' })

    await redis.command('REPLICAOF', '127.0.0.1', 1)
    const readOnly = store.flush(0, request('w2', 'w3', ['a']), signal)
    await told('READONLY')
    await redis.command('REPLICAOF', 'NO', 'ONE')
    expect(await readOnly).toEqual({ applied: true, current: 'w3' })
  })

  test('is not answered by a replica, which knows an older watermark or none: only a master refuses a flush', async () => {
    const dir = await folder()
    const master = await startStandalone({
      dir: join(dir, 'master'),
      args: ['--repl-diskless-sync-delay', '0'],
    })
    const demoted = await startStandalone({ dir: join(dir, 'demoted') })
    onTestFinished(async () => {
      await stopAll([master, demoted])
      await rm(dir, { recursive: true, force: true })
    })
    const { store, logged } = open(demoted.url, 1)
    await store.flush(0, request(null, 'w1', ['a']), signal)
    // The connection stays: its server becomes a replica of one that has nothing.
    await demoted.command('REPLICAOF', master.host, master.port)
    await replicated(master, demoted)
    const flushing = store.flush(0, request('w1', 'w2', ['a']), signal)
    await until('the replica refuses', () => logged.some((line) => line.includes('READONLY')))
    await demoted.command('REPLICAOF', 'NO', 'ONE')
    expect(await flushing).toEqual({ applied: false, current: null }) // as a master it may say so
  })
})
