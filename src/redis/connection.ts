import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { MillraceError } from '../errors.ts'
import type { Clock } from '../time/clock.ts'
import { withTimeout } from '../time/deadline.ts'
import type { RedisAddress } from './address.ts'
import { isReplica } from './replies.ts'

/** The connections behind a client, to masters only. Nothing is opened before the first `ready`. */
export interface Connection {
  /** Takes the scripts of the store as commands. */
  readonly commands: Redis | Cluster
  readonly isReady: boolean
  /** Resolves once commands can be sent; rejects when the next attempt to connect fails. */
  ready(): Promise<void>
  /** The one server, or every master of a cluster. */
  masters(): readonly Redis[]
  /** For good. */
  close(): void
  /** Why there is no connection; null while none is missed. */
  failure: unknown
}

/** An unanswered command is given up and sent again after this, on a new connection: half-open ones are noticed. */
const commandTimeoutMs = 10_000
/** A sentinel, or a node of a cluster, that does not answer is passed over after this. */
const askTimeoutMs = 2_000
const retryFirstMs = 50
const retryMaxMs = 2_000
/** A cluster tells its clients of a failover only when they ask, or ask the wrong node. */
const slotsEveryMs = 5_000

export function openConnection(
  address: RedisAddress,
  scripts: ReadonlyMap<string, string>,
  clock: Clock,
): Connection {
  const commands = address.kind === 'cluster' ? openCluster(address) : openServer(address)
  let isClosed = false
  const connection: Connection = {
    commands,
    get isReady() {
      return commands.status === 'ready'
    },
    ready: becomesReady(commands, clock, () => isClosed),
    close: () => {
      isClosed = true
      commands.disconnect()
    },
    masters: () => (commands instanceof Cluster ? commands.nodes('master') : [commands]),
    failure: null,
  }
  for (const event of failures) commands.on(event, (error: unknown) => (connection.failure = error))
  commands.on('ready', () => (connection.failure = null))
  for (const [name, lua] of scripts) commands.defineCommand(name, { lua })
  return connection
}

/** What ioredis calls errors of the connection, of a sentinel, and of a node of a cluster. */
const failures = ['error', 'sentinelError', 'node error'] as const

const timeouts = { commandTimeout: commandTimeoutMs, socketTimeout: commandTimeoutMs } as const

function openServer(address: Exclude<RedisAddress, { kind: 'cluster' }>): Redis {
  const options = {
    ...timeouts,
    lazyConnect: true,
    maxRetriesPerRequest: 1, // fail to our own loop, which knows the signal
    enableAutoPipelining: false,
    retryStrategy: backOff,
    // After a failover the old master may keep its connections: the new one is behind a new connection.
    reconnectOnError: isReplica,
  } satisfies RedisOptions
  if (address.kind === 'standalone') return new Redis(address.url, options)
  return new Redis({
    ...options,
    ...credentialsOf(address),
    sentinels: [...address.nodes],
    name: address.master,
    db: address.database,
    ...(address.sentinelUsername === null ? {} : { sentinelUsername: address.sentinelUsername }),
    ...(address.sentinelPassword === null ? {} : { sentinelPassword: address.sentinelPassword }),
    ...(address.tls ? { tls: {}, sentinelTLS: {}, enableTLSForSentinelMode: true } : {}),
    sentinelCommandTimeout: askTimeoutMs,
    connectTimeout: askTimeoutMs,
    sentinelRetryStrategy: backOff,
    failoverDetector: true,
  })
}

function openCluster(address: Extract<RedisAddress, { kind: 'cluster' }>): Cluster {
  return new Cluster([...address.nodes], {
    lazyConnect: true,
    enableOfflineQueue: false, // a queue would keep what its senders gave up
    scaleReads: 'master',
    clusterRetryStrategy: backOff,
    slotsRefreshTimeout: askTimeoutMs,
    slotsRefreshInterval: slotsEveryMs,
    dnsLookup: (host, done) => done(null, host), // names stay names: certificates are made out to them
    redisOptions: {
      ...timeouts,
      ...credentialsOf(address),
      ...(address.tls ? { tls: {} } : {}),
      connectTimeout: askTimeoutMs,
    },
  })
}

function credentialsOf({ username, password }: { username: string | null; password: string | null }) {
  return { ...(username === null ? {} : { username }), ...(password === null ? {} : { password }) }
}

function backOff(times: number): number {
  return Math.min(retryFirstMs * 2 ** Math.min(times, 6), retryMaxMs)
}

/** Everybody who waits shares one wait: the listeners stay few. */
function becomesReady(commands: Redis | Cluster, clock: Clock, isClosed: () => boolean): () => Promise<void> {
  let waiting: Promise<void> | null = null
  const nextAttempt = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const ends = [...(commands instanceof Cluster ? [] : ['error', 'sentinelError']), 'close', 'end']
      const settle = (done: () => void): void => {
        commands.off('ready', ready)
        for (const event of ends) commands.off(event, fail)
        done()
      }
      const ready = (): void => settle(resolve)
      const fail = (error: unknown): void =>
        settle(() => reject(error instanceof Error ? error : new Error('Connection is closed.')))
      commands.on('ready', ready)
      for (const event of ends) commands.on(event, fail)
      // ioredis ends by itself where a failover is detected while it asks the sentinels: it would never try again.
      if (['wait', 'end'].includes(commands.status)) commands.connect().catch(() => undefined) // an event says it too
    })
  return async () => {
    if (isClosed()) throw new MillraceError('INTERNAL', 'the Redis client is closed')
    if (commands.status === 'ready') return
    waiting ??= withTimeout(nextAttempt(), commandTimeoutMs, clock, 'connecting').finally(
      () => (waiting = null),
    )
    await waiting
  }
}
