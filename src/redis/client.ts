import { MillraceError, type ErrorCode } from '../errors.ts'
import type { Log } from '../telemetry/log.ts'
import type { Clock } from '../time/clock.ts'
import { parseRedisAddress } from './address.ts'
import { openConnection, type Connection } from './connection.ts'
import type { RedisPlan } from './plan.ts'
import { finalError, isBusy, isFull, messageOf } from './replies.ts'

/** A Lua script and how many of its arguments are keys is given per call. */
export interface ScriptCall {
  readonly script: ScriptName
  readonly keys: readonly string[]
  readonly args: readonly (string | Buffer)[]
}

export type ScriptName = string
/** Label of metrics: bounded. */
export type RedisCommand = 'load' | 'flush' | 'watermarks' | 'other'

/** A reply as Redis sends it: bulk strings are Buffers. */
export type Reply = Buffer | string | number | null | readonly Reply[]

/** The hardened Redis client: masters only, waits out what may pass, names what will not. */
export interface RedisClient {
  /** Runs a script; retried until it answers or `signal` aborts. A script may therefore run twice: make it safe. */
  run(call: ScriptCall, signal: AbortSignal): Promise<Reply>
  /** What `INFO` says of the server, or of every master of a cluster; CONFIG is often forbidden. */
  masters(signal: AbortSignal): Promise<readonly RedisMaster[]>
  /** Whether the last command was answered; for probes. */
  readonly answering: boolean
  /** Why it was not; null when it was. */
  readonly trouble: string | null
  close(): Promise<void>
}

export interface RedisMaster {
  /** host:port, as the client reached it. */
  readonly address: string
  readonly version: string
  readonly mode: 'standalone' | 'sentinel' | 'cluster'
  readonly evictionPolicy: string
  /** Of this start of the server. */
  readonly runId: string
  /** Keys evicted since then, whosever they were. */
  readonly evictedKeys: number
}

export interface RedisOptions {
  readonly plan: RedisPlan
  readonly scripts: ReadonlyMap<ScriptName, string>
  readonly clock: Clock
  readonly log: Log
  /** Called after each answered or failed command. */
  readonly observe?: (command: RedisCommand, durationMs: number, failed: boolean) => void
}

/** Many commands may wait for one server; they say so together. */
const warnEveryMs = 5_000
const retryFirstMs = 50
const retryMaxMs = 2_000

export function openRedis(options: RedisOptions): RedisClient {
  const { clock, log } = options
  const address = parseRedisAddress(options.plan.url)
  const connection = openConnection(address, options.scripts, clock)
  let answering = false
  let trouble: string | null = null
  const warnedAt = new Map<string, number>()

  const attempt = async <T>(command: RedisCommand, work: () => Promise<T>): Promise<T> => {
    const startedAt = clock.monotonic()
    try {
      await connection.ready()
      const reply = await work()
      answering = true
      trouble = null
      connection.failure = null
      options.observe?.(command, clock.monotonic() - startedAt, false)
      return reply
    } catch (error) {
      answering = false
      trouble = messageOf(connection.failure ?? error)
      options.observe?.(command, clock.monotonic() - startedAt, true)
      throw error
    }
  }
  const warn = (error: unknown, tries: number): void => {
    const [code, text]: [ErrorCode, string] = isFull(error)
      ? ['REDIS_FULL', 'Redis has no memory left and refuses writes; waiting until there is room']
      : isBusy(error)
        ? ['REDIS_UNREACHABLE', 'Redis answers that it cannot yet; waiting']
        : ['REDIS_UNREACHABLE', 'Redis does not answer; waiting']
    if (clock.monotonic() - (warnedAt.get(text) ?? -Infinity) < warnEveryMs) return
    warnedAt.set(text, clock.monotonic())
    const { failure } = connection
    const why = failure === null ? {} : { connection: messageOf(failure) }
    log.warn({ code, redis: address.shown, error: messageOf(error), ...why, tries }, text)
  }
  const untilAnswered = async <T>(
    command: RedisCommand,
    work: () => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> => {
    for (let tries = 0; ; tries++) {
      signal.throwIfAborted()
      try {
        return await attempt(command, work)
      } catch (error) {
        // A command that fails for want of a connection does not say why there is none.
        const final = finalError(error, address) ?? finalError(connection.failure, address)
        if (final !== null) throw final
        warn(error, tries)
        // Without a connection the next attempt begins with waiting for one.
        const backOffMs = Math.min(retryFirstMs * 2 ** Math.min(tries, 6), retryMaxMs)
        await clock.sleep(connection.isReady ? backOffMs : retryFirstMs, signal)
      }
    }
  }

  return {
    get answering() {
      return answering
    },
    get trouble() {
      return trouble
    },
    run: ({ script, keys, args }, signal) =>
      untilAnswered(commandOf(script), () => runScript(connection, script, keys, args), signal),
    masters: (signal) => untilAnswered('other', () => describeMasters(connection), signal),
    close: async () => {
      connection.close()
      await Promise.resolve()
    },
  }
}

async function runScript(
  { commands }: Connection,
  script: string,
  keys: readonly string[],
  args: readonly (string | Buffer)[],
): Promise<Reply> {
  const named = commands as unknown as Record<string, (...args: unknown[]) => Promise<Reply>>
  const command = named[`${script}Buffer`]
  if (command === undefined) throw new MillraceError('INTERNAL', `no Redis script ${script}`)
  // ioredis takes lists as it takes their items; a call of the language ends at some 120 000.
  return command.call(commands, keys.length, keys, args)
}

function commandOf(script: ScriptName): RedisCommand {
  if (script === 'millraceLoad') return 'load'
  if (script === 'millraceFlush') return 'flush'
  return script === 'millraceWatermarks' ? 'watermarks' : 'other'
}

async function describeMasters(connection: Connection): Promise<RedisMaster[]> {
  const masters = connection.masters()
  if (masters.length === 0) throw new Error('no master is known yet')
  return Promise.all(
    masters.map(async (master): Promise<RedisMaster> => {
      const sections = ['server', 'memory', 'stats']
      const info = (await Promise.all(sections.map((section) => master.info(section)))).join('\n')
      const value = (name: string): string => new RegExp(`^${name}:(\\S+)`, 'm').exec(info)?.[1] ?? 'unknown'
      const { remoteAddress = master.options.host, remotePort = master.options.port } = master.stream
      return {
        address: `${remoteAddress}:${remotePort}`,
        version: value('redis_version'),
        mode: value('redis_mode') as RedisMaster['mode'],
        evictionPolicy: value('maxmemory_policy'),
        runId: value('run_id'),
        evictedKeys: Number(value('evicted_keys')),
      }
    }),
  )
}
