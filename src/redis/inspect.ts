import { MillraceError } from '../errors.ts'
import type { Clock } from '../time/clock.ts'
import { withTimeout } from '../time/deadline.ts'
import { parseRedisAddress, type RedisAddress } from './address.ts'
import { openConnection, type Connection } from './connection.ts'
import type { RedisPlan } from './plan.ts'
import { finalError, messageOf } from './replies.ts'

/** What one master says of itself, in the words of `INFO`. */
export interface RedisServerFacts {
  readonly address: string
  readonly version: string
  readonly mode: string
  readonly role: string
  readonly evictionPolicy: string
  readonly usedBytes: number
  /** 0: no limit. */
  readonly maxBytes: number
  /** Whether it would come back with its data after a restart. */
  readonly persistence: 'none' | 'snapshots' | 'append-only file'
  readonly replicas: number
  /** Its clock less the local one, ms, and how far that may be off. */
  readonly skewMs: number
  readonly skewErrorMs: number
  /** Why a script could not be run; null: it was. */
  readonly scriptRefused: string | null
}

export interface RedisFacts {
  readonly masters: readonly RedisServerFacts[]
}

/**
 * Asks every master once; changes nothing. Throws REDIS_UNREACHABLE after `waitMs`, REDIS_UNAUTHORISED and REDIS_MODE.
 * `key` is read by a script, as the service's scripts do; it need not exist.
 */
export async function inspectRedis(
  plan: RedisPlan,
  key: string,
  waitMs: number,
  clock: Clock,
): Promise<RedisFacts> {
  const address = parseRedisAddress(plan.url)
  const connection = openConnection(address, new Map(), clock)
  const ask = async (): Promise<RedisFacts> => {
    await untilReady(connection, address, clock)
    const masters = connection.masters()
    return { masters: await Promise.all(masters.map((master) => inspectServer(master, key, clock))) }
  }
  try {
    return await withTimeout(ask(), waitMs, clock, 'asking Redis')
  } catch (error) {
    const final = finalError(error, address) ?? finalError(connection.failure, address)
    if (final !== null) throw final
    throw new MillraceError(
      'REDIS_UNREACHABLE',
      `Redis ${address.shown} did not answer: ${messageOf(connection.failure ?? error)}`,
      { cause: error },
    )
  } finally {
    connection.close()
  }
}

/** A failover, or a restart, is over after a few attempts to connect. */
const connectTriesMax = 10

async function untilReady(connection: Connection, address: RedisAddress, clock: Clock): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await connection.ready()
    } catch (error) {
      const final = finalError(error, address) ?? finalError(connection.failure, address)
      if (final !== null || tries >= connectTriesMax) throw final ?? error
      await clock.sleep(connectPauseMs)
    }
  }
}

const connectPauseMs = 50

type Master = ReturnType<Connection['masters']>[number]

async function inspectServer(master: Master, key: string, clock: Clock): Promise<RedisServerFacts> {
  const text = await master.info()
  const value = (name: string): string => new RegExp(`^${name}:(\\S*)`, 'm').exec(text)?.[1] ?? ''
  const askedAt = clock.now()
  const [seconds, micros] = await master.time()
  const answeredAt = clock.now()
  // Of a sentinel's master the options do not know the address.
  const { remoteAddress = master.options.host, remotePort = master.options.port } = master.stream
  return {
    address: `${remoteAddress}:${remotePort}`,
    version: value('redis_version'),
    mode: value('redis_mode'),
    role: value('role'),
    evictionPolicy: value('maxmemory_policy'),
    usedBytes: Number(value('used_memory')),
    maxBytes: Number(value('maxmemory')),
    persistence: await persistenceOf(master, value),
    replicas: Number(value('connected_slaves')),
    skewMs: Number(seconds) * 1000 + Number(micros) / 1000 - (askedAt + answeredAt) / 2,
    skewErrorMs: (answeredAt - askedAt) / 2 + 1,
    scriptRefused: await scriptRefusal(master, key),
  }
}

/** INFO does not tell whether snapshots are configured: CONFIG does, where it is allowed; else whether one was made. */
async function persistenceOf(
  master: Master,
  value: (name: string) => string,
): Promise<RedisServerFacts['persistence']> {
  if (value('aof_enabled') === '1') return 'append-only file'
  try {
    const [, save] = (await master.config('GET', 'save')) as readonly string[]
    return save === undefined || save === '' ? 'none' : 'snapshots'
  } catch {
    return Number(value('rdb_saves')) > 0 ? 'snapshots' : 'none'
  }
}

async function scriptRefusal(master: Master, key: string): Promise<string | null> {
  try {
    await master.eval("return redis.call('HGETALL', KEYS[1])", 1, key)
    return null
  } catch (error) {
    const text = messageOf(error)
    // The key may belong to another node of the cluster, or hold something else: the script was run all the same.
    return /^(MOVED|WRONGTYPE)|WRONGTYPE/.test(text) ? null : text
  }
}
