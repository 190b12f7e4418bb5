import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Layout } from '../../src/features/compiled.ts'
import { createRedisStore, featureScripts } from '../../src/features/redis-store.ts'
import { MemoryStore } from '../../src/features/memory-store.ts'
import { tornBy, type FeatureStore, type FlushRequest, type LoadRequest } from '../../src/features/store.ts'
import { openRedis, type RedisClient } from '../../src/redis/client.ts'
import { quietLog } from '../../src/telemetry/log.ts'
import { systemClock } from '../../src/time/system-clock.ts'
import { redisUrl, uniqueName } from '../support/servers.ts'

const layout = (index: number, merge: boolean): Layout => ({
  index,
  entity: `e${index}`,
  source: 'tx',
  merge,
  shared: merge,
  delayed: false,
  horizonMs: 1000,
  columns: ['time'],
})
const layouts = [layout(0, false), layout(1, true)]
const { signal } = new AbortController()

let client: RedisClient
let direct: Redis
beforeAll(() => {
  client = openRedis({
    plan: { url: redisUrl() },
    scripts: featureScripts,
    clock: systemClock,
    log: quietLog,
  })
  direct = new Redis(redisUrl())
})
afterAll(async () => {
  await client.close()
  direct.disconnect()
})

function open(): { store: FeatureStore; namespace: string } {
  const namespace = uniqueName('store')
  return { namespace, store: createRedisStore({ client, namespace, layouts, buckets: 1 }) }
}

function request(over: Partial<FlushRequest>): FlushRequest {
  return { inputName: 'tx:0', expected: null, next: 'w1', changes: [], ttlMs: 60_000, ...over }
}

function set(layoutIndex: number, entityKey: string, text: string): FlushRequest['changes'][number] {
  return { layout: layoutIndex, entityKey, kind: 'set', bytes: Buffer.from(text) }
}
function append(layoutIndex: number, entityKey: string, text: string): FlushRequest['changes'][number] {
  return { layout: layoutIndex, entityKey, kind: 'append', bytes: Buffer.from(text) }
}

describe('the feature store in Redis', () => {
  test('what one flush wrote, one load returns with the watermark, own and merged alike', async () => {
    const { store } = open()
    await store.flush(0, request({ changes: [set(0, 'c1', 'own'), set(1, 't1', 'mine')] }), signal)
    await store.flush(
      0,
      request({ inputName: 'tx:1', next: 'v1', changes: [set(1, 't1', 'theirs')] }),
      signal,
    )
    const loaded = await store.load(
      0,
      {
        inputName: 'tx:0',
        own: [
          { layout: 1, entityKey: 't1' },
          { layout: 0, entityKey: 'c1' },
          { layout: 0, entityKey: 'unknown' },
        ],
        merged: [
          { layout: 1, entityKey: 't1' },
          { layout: 1, entityKey: 'unknown' },
        ],
      },
      signal,
    )
    expect(loaded.own.map((bytes) => bytes?.toString())).toEqual(['mine', 'own', undefined])
    expect([...(loaded.merged[0] ?? [])].map(([name, bytes]) => [name, bytes.toString()])).toEqual([
      ['tx:0', 'mine'],
      ['tx:1', 'theirs'],
    ])
    expect(loaded.merged[1]?.size).toBe(0)
    expect(Object.fromEntries(loaded.watermarks)).toEqual({ 'tx:0': 'w1', 'tx:1': 'v1' })
  })

  test('parts that the caller holds are left out while their watermark is the same, as in the store in memory', async () => {
    const { store } = open()
    const memory = new MemoryStore(layouts)
    const write = async (inputName: string, expected: string | null, next: string, text: string) => {
      const changes = [set(1, 't1', text), set(1, 't2', text)]
      for (const one of [store, memory])
        await one.flush(0, request({ inputName, expected, next, changes }), signal)
    }
    await write('tx:1', null, 'v1', 'one')
    await write('tx:2', null, 'u1', 'two')
    const inputs = ['tx:1', 'tx:2', 'tx:3']
    const load = async () => {
      const wanted: LoadRequest = {
        inputName: 'tx:0',
        own: [{ layout: 0, entityKey: 'c' }],
        merged: [
          { layout: 1, entityKey: 't1', inputs, held: new Set(['tx:1', 'tx:2', 'tx:3']) },
          { layout: 1, entityKey: 't2', inputs, held: new Set(['tx:2']) },
          { layout: 1, entityKey: 't1' },
          { layout: 1, entityKey: 'unknown', inputs, held: new Set(['tx:1']) },
        ],
        held: new Map([
          ['tx:1', 'v1'],
          ['tx:2', 'u1'],
        ]),
      }
      const [fromRedis, fromMemory] = [await store.load(0, wanted, signal), await memory.load(0, wanted)].map(
        ({ merged }) =>
          merged.map((parts) => [...parts].map(([name, bytes]) => `${name} ${bytes.toString()}`)),
      )
      expect(fromRedis).toEqual(fromMemory)
      return fromRedis
    }
    expect(await load()).toEqual([[], ['tx:1 one'], ['tx:1 one', 'tx:2 two'], []])
    await write('tx:1', 'v1', 'v2', 'new')
    expect(await load()).toEqual([['tx:1 new'], ['tx:1 new'], ['tx:1 new', 'tx:2 two'], []])
  })

  test('a flush that expects another watermark changes nothing and says what it found', async () => {
    const { store } = open()
    await store.flush(0, request({ changes: [set(0, 'c', 'first')] }), signal)
    const refused = await store.flush(
      0,
      request({ expected: 'w0', next: 'w2', changes: [set(0, 'c', 'second')] }),
      signal,
    )
    expect(refused).toEqual({ applied: false, current: 'w1' })
    const loaded = await store.load(
      0,
      { inputName: 'tx:0', own: [{ layout: 0, entityKey: 'c' }], merged: [] },
      signal,
    )
    expect(loaded.own[0]?.toString()).toBe('first')
    const absent = await store.flush(0, request({ inputName: 'tx:9', expected: 'w5' }), signal)
    expect(absent).toEqual({ applied: false, current: null })
  })

  test('appended bytes stand behind what is stored, whatever they contain', async () => {
    const { store } = open()
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
    await store.flush(0, request({ changes: [set(0, 'c', 'a'), set(1, 't', 'b')] }), signal)
    await store.flush(
      0,
      request({
        expected: 'w1',
        next: 'w2',
        changes: [
          { ...append(0, 'c', ''), bytes },
          { ...append(1, 't', ''), bytes },
        ],
      }),
      signal,
    )
    const loaded = await store.load(
      0,
      {
        inputName: 'tx:0',
        own: ['c'].map((entityKey) => ({ layout: 0, entityKey })),
        merged: [{ layout: 1, entityKey: 't' }],
      },
      signal,
    )
    expect(loaded.own[0]).toEqual(Buffer.concat([Buffer.from('a'), bytes]))
    expect(loaded.merged[0]?.get('tx:0')).toEqual(Buffer.concat([Buffer.from('b'), bytes]))
  })

  test.each([0, 1])('nothing is appended to a part that is not there (layout %i)', async (of) => {
    const { store, namespace } = open()
    await store.flush(0, request({ changes: [set(of, 'c', 'head'), set(of, 'd', 'kept')] }), signal)
    await store.flush(
      0,
      request({ inputName: 'tx:1', next: 'v1', changes: [set(of, 'c', 'theirs')] }),
      signal,
    )
    if (of === 0) await direct.del(`${namespace}:{0}:p:0:tx:0:c`)
    else await direct.hdel(`${namespace}:{0}:m:1:c`, 'tx:0')
    const changes = [append(of, 'd', '+'), append(of, 'c', 'tail')]
    const refused = await store.flush(0, request({ expected: 'w1', next: 'w2', changes }), signal)
    expect(refused).toEqual({ applied: false, current: tornBy('w2') })
    const own = [{ layout: of, entityKey: 'c' }]
    const loaded = await store.load(0, { inputName: 'tx:0', own, merged: [] }, signal)
    expect(loaded.watermarks.get('tx:0')).toBe(tornBy('w2'))
    expect(loaded.own).toEqual([null])
  })

  test('a script that dies midway leaves the watermark torn, and every later flush is refused', async () => {
    const { store, namespace } = open()
    await store.flush(0, request({ changes: [set(0, 'c', 'a')] }), signal)
    await direct.set(`${namespace}:{0}:m:1:broken`, 'a string where a hash belongs')
    const dying = store.flush(
      0,
      request({ expected: 'w1', next: 'w2', changes: [append(0, 'c', 'b'), set(1, 'broken', 'x')] }),
      signal,
    )
    await expect(dying).rejects.toMatchObject({ code: 'INTERNAL' })
    expect((await store.watermarks(0, signal)).get('tx:0')).toBe(tornBy('w2'))
    expect(await store.flush(0, request({ expected: 'w1', next: 'w3' }), signal)).toEqual({
      applied: false,
      current: tornBy('w2'),
    })
  })

  test('a build that is begun again is not the same one: a late script with data no longer fits', async () => {
    const { store } = open()
    const begin = request({ next: 'BEGUN:inc:b' })
    const first = await store.flush(0, begin, signal)
    expect(first).toMatchObject({ applied: true })
    expect(first.current).toMatch(/^BEGUN:inc:b:\d{16}$/)
    expect(await store.flush(0, begin, signal)).toEqual({ applied: false, current: first.current })
    const data = request({ expected: first.current, changes: [set(0, 'c', 'a')] })
    expect(await store.flush(0, data, signal)).toMatchObject({ applied: true, current: 'w1' })
    const other = open()
    const second = await other.store.flush(0, begin, signal)
    expect(second.current).not.toBe(first.current)
    expect(await other.store.flush(0, data, signal)).toEqual({ applied: false, current: second.current })
  })

  test('every key expires', async () => {
    const { store, namespace } = open()
    await store.flush(0, request({ changes: [set(0, 'c', 'a'), set(1, 't', 'b')] }), signal)
    await store.flush(0, request({ expected: 'w1', next: 'w2', changes: [append(0, 'c', 'd')] }), signal)
    for (const key of ['W', 'p:0:tx:0:c', 'm:1:t']) {
      const ttl = await direct.pttl(`${namespace}:{0}:${key}`)
      expect(ttl).toBeGreaterThan(50_000)
    }
  })

  test('the eviction policy is read without CONFIG', async () => {
    expect(await client.masters(signal)).toMatchObject([{ evictionPolicy: 'noeviction' }])
  })

  test('a script of more than 130 000 arguments is run, and what it wrote is read back', async () => {
    const { store } = open()
    const keys = Array.from({ length: 50_000 }, (_, index) => `c${index}`)
    // A key, a kind and bytes each.
    const changes = keys.map((key) => set(0, key, key))
    expect(await store.flush(0, request({ changes }), signal)).toEqual({ applied: true, current: 'w1' })
    const own = keys.map((entityKey) => ({ layout: 0, entityKey }))
    const many = [...own, ...own, ...own]
    const loaded = await store.load(0, { inputName: 'tx:0', own: many, merged: [] }, signal)
    expect(loaded.own.map((bytes) => bytes?.toString())).toEqual([...keys, ...keys, ...keys])
  })
})
