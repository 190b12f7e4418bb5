import { expect, test } from 'vitest'
import { parseRedisAddress } from '../../src/redis/address.ts'
import { openConnection } from '../../src/redis/connection.ts'
import { systemClock } from '../../src/time/system-clock.ts'
import { redisUrl } from '../support/servers.ts'

test('a client that ended by itself connects again; one that was closed does not', async () => {
  const connection = openConnection(parseRedisAddress(redisUrl()), new Map(), systemClock)
  await connection.ready()
  // As ioredis does when a failover is detected while it asks the sentinels.
  const ended = new Promise((resolve) => connection.commands.once('end', resolve))
  connection.commands.disconnect()
  await ended
  expect(connection.commands.status).toBe('end')
  await connection.ready()
  expect(connection.isReady).toBe(true)
  expect(await connection.commands.ping()).toBe('PONG')

  connection.close()
  await expect(connection.ready()).rejects.toThrow('the Redis client is closed')
})
