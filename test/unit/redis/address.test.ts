import { describe, expect, test } from 'vitest'
import { bucketsOn, parseRedisAddress, redisAddressPattern } from '../../../src/redis/address.ts'

describe('an address of Redis', () => {
  test('names one server as the client takes it, shown without credentials', () => {
    const url = 'rediss://svc:p%40ss@cache.example:6380/2'
    expect(parseRedisAddress(url)).toEqual({ kind: 'standalone', url, shown: 'cache.example:6380' })
  })

  test('is never shown with a part of the password, whatever that holds', () => {
    expect(parseRedisAddress('redis://:pa/s?s@h:1/0?family=6').shown).toBe('h:1')
  })

  test('names sentinels and the master they watch', () => {
    const url = 'redis+sentinel://svc:p%40ss@s1:26380,s2,[::1]:26381/main/2?sentinel_password=x%26y'
    expect(parseRedisAddress(url)).toEqual({
      kind: 'sentinel',
      nodes: [
        { host: 's1', port: 26380 },
        { host: 's2', port: 26379 },
        { host: '::1', port: 26381 },
      ],
      username: 'svc',
      password: 'p@ss',
      tls: false,
      master: 'main',
      database: 2,
      sentinelUsername: null,
      sentinelPassword: 'x&y',
      shown: 'main (sentinels s1:26380,s2,[::1]:26381)',
    })
  })

  test('names some nodes of a cluster', () => {
    expect(parseRedisAddress('rediss+cluster://:secret@n1:7000,n2')).toEqual({
      kind: 'cluster',
      nodes: [
        { host: 'n1', port: 7000 },
        { host: 'n2', port: 6379 },
      ],
      username: null,
      password: 'secret',
      tls: true,
      shown: 'cluster n1:7000,n2',
    })
  })

  test('spreads state over buckets on a cluster only', () => {
    expect(bucketsOn(parseRedisAddress('redis://a:1'))).toBe(1)
    expect(bucketsOn(parseRedisAddress('redis+sentinel://a:1/m'))).toBe(1)
    expect(bucketsOn(parseRedisAddress('redis+cluster://a:1'))).toBe(64)
  })

  test.each([
    'redis://h1:7000,h2:7000', // a list needs to say what it is of
    'redis+sentinel://s1:26379', // which master?
    'redis+sentinel:///mymaster',
    'redis+cluster://n1:7000/0', // clusters have no databases
    'redis+cluster://n1:70000x',
    'redis+cluster://n1:7000, n2:7000',
    'redis+unix://x',
    'http://x',
  ])('is refused when it cannot be one: %s', (url) => {
    expect(redisAddressPattern.test(url)).toBe(false)
  })

  test.each([
    'redis://127.0.0.1:6379',
    'rediss://user:a,b@h:1/0?x=y',
    'redis+sentinel://u:p,w@s1:26379,s2:26379/my-master',
    'redis+cluster://[2001:db8::1]:7000,n2:7001/',
  ])('is taken: %s', (url) => {
    expect(redisAddressPattern.test(url)).toBe(true)
  })
})
