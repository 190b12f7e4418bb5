import { describe, expect, test } from 'vitest'
import { parseRedisAddress } from '../../../src/redis/address.ts'
import { finalError, isBusy, isFull, isReplica, messageOf } from '../../../src/redis/replies.ts'

const server = parseRedisAddress('redis://svc:hunter2@h:6379')
const sentinel = parseRedisAddress('redis+sentinel://svc:hunter2@s1:26379/main')
const cluster = parseRedisAddress('redis+cluster://svc:hunter2@n1:7000,n2:7000')
const inScript = (text: string): Error =>
  new Error(`ERR Error running script (call to f_ab12): @user_script:4: @user_script: 4: -${text}`)

describe('what an error of Redis means', () => {
  test.each([
    ['LOADING Redis is loading the dataset in memory', server],
    ["READONLY You can't write against a read only replica.", sentinel],
    ['MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to no.', sentinel],
    ['TRYAGAIN Multiple keys request during rehashing of slot', cluster],
    ['MOVED 866 127.0.0.1:7001', cluster],
    ['ASK 866 127.0.0.1:7001', cluster],
    ['CLUSTERDOWN The cluster is down', cluster],
    ['Too many Cluster redirections. Last error: ReplyError: TRYAGAIN Multiple keys request', cluster],
    ['BUSY Redis is busy running a script.', server],
    ['MISCONF Redis is configured to save RDB snapshots', server],
    ['NOREPLICAS Not enough good replicas to write.', sentinel],
  ])('a server that cannot yet is waited for: %s', (text, address) => {
    expect(finalError(new Error(text), address)).toBeNull()
    expect(isBusy(new Error(text))).toBe(true)
  })

  test.each([
    'Connection is closed.',
    'Command timed out',
    'connect ECONNREFUSED 127.0.0.1:6379',
    'ERR max number of clients reached',
    'failed to connect to sentinel s1:26379 because ERR No such master with that name',
    "OOM command not allowed when used memory > 'maxmemory'. script: ab12, on @user_script:4.",
  ])('what may pass is waited for: %s', (text) => {
    expect(finalError(new Error(text), server)).toBeNull()
    expect(isBusy(new Error(text))).toBe(false)
  })

  test('a full Redis is told from a silent one, also by a server before version 7', () => {
    expect(isFull(new Error("OOM command not allowed when used memory > 'maxmemory'."))).toBe(true)
    const wrapped = inScript("OOM command not allowed when used memory > 'maxmemory'.")
    expect(isFull(wrapped)).toBe(true)
    expect(finalError(wrapped, server)).toBeNull()
    expect(isFull(new Error('Command timed out'))).toBe(false)
  })

  test('a master that became a replica asks for a new connection', () => {
    expect(isReplica(new Error("READONLY You can't write against a read only replica."))).toBe(true)
    expect(isReplica(inScript("READONLY You can't write against a read only replica."))).toBe(true)
    expect(isReplica(new Error('LOADING'))).toBe(false)
  })

  test.each([
    ['NOAUTH Authentication required.', server],
    ['WRONGPASS invalid username-password pair or user is disabled.', cluster],
    ["NOPERM this user has no permissions to run the 'evalsha' command", server],
    ['All sentinels are unreachable. Last error: WRONGPASS invalid username-password pair', sentinel],
    ['failed to connect to sentinel s1:26379 because NOAUTH Authentication required.', sentinel],
  ])(
    'refused credentials end the service, with the address and without the password: %s',
    (text, address) => {
      const error = finalError(new Error(text), address)
      expect(error?.code).toBe('REDIS_UNAUTHORISED')
      expect(error?.message).toContain(address.shown)
      expect(error?.message).not.toContain('hunter2')
    },
  )

  test.each([
    [server, 'MOVED 866 127.0.0.1:7001', 'redis+cluster://'],
    [sentinel, 'CLUSTERDOWN Hash slot not served', 'redis+cluster://'],
    [cluster, 'ERR This instance has cluster support disabled', 'no Redis Cluster'],
    [
      sentinel,
      "failed to connect to sentinel s1:26379 because ERR unknown command 'sentinel'",
      'no sentinels',
    ],
  ])('another kind of Redis than the address says is named (%#)', (address, text, hint) => {
    const error = finalError(new Error(text), address)
    expect(error?.code).toBe('REDIS_MODE')
    expect(error?.message).toContain(hint)
  })

  test('why no node of a cluster answers is found behind what the client says', () => {
    const error = Object.assign(new Error('Failed to refresh slots cache.'), {
      lastNodeError: new Error('WRONGPASS invalid username-password pair'),
    })
    expect(messageOf(error)).toContain('WRONGPASS')
    expect(finalError(error, cluster)?.code).toBe('REDIS_UNAUTHORISED')
  })

  test('a script that fails for another reason ends the service', () => {
    const text = 'WRONGTYPE Operation against a key holding the wrong kind of value'
    expect(finalError(new Error(text), server)?.code).toBe('INTERNAL')
    expect(finalError(inScript(text), server)?.code).toBe('INTERNAL')
    expect(finalError(new Error("ERR unknown command 'EVALSHA'"), server)?.code).toBe('INTERNAL')
  })
})
