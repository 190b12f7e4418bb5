import { Redis } from 'ioredis'
import { MillraceError } from '../errors.ts'
import type { Log } from '../telemetry/log.ts'
import type { Clock } from '../time/clock.ts'
import type { RedisPlan } from './plan.ts'

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
  /** The policy of `INFO memory`; CONFIG is often forbidden. */
  evictionPolicy(signal: AbortSignal): Promise<string>
  /** Whether the last command was answered; for probes. */
  readonly answering: boolean
  close(): Promise<void>
}

export interface RedisOptions {
  readonly plan: RedisPlan
  readonly scripts: ReadonlyMap<ScriptName, string>
  readonly clock: Clock
  readonly log: Log
  /** Called after each answered or failed command. */
  readonly observe?: (command: RedisCommand, durationMs: number, failed: boolean) => void
}

/** An unanswered command is given up and sent again after this: half-open connections are noticed. */
const commandTimeoutMs = 10_000
const retryFirstMs = 50
const retryMaxMs = 2_000

export function openRedis(options: RedisOptions): RedisClient {
  const { plan, clock, log } = options
  const redis = new Redis(plan.url, {
    lazyConnect: true,
    maxRetriesPerRequest: 1, // fail to our own loop, which knows the signal
    commandTimeout: commandTimeoutMs,
    enableAutoPipelining: false,
    retryStrategy: (times) => Math.min(retryFirstMs * 2 ** Math.min(times, 6), retryMaxMs),
  })
  // A command that fails for want of a connection does not say why there is none.
  const connection: { failure: unknown } = { failure: null }
  redis.on('error', (error: unknown) => (connection.failure = error))
  redis.on('ready', () => (connection.failure = null))
  for (const [name, lua] of options.scripts) redis.defineCommand(name, { lua })
  let answering = false

  const attempt = async <T>(command: RedisCommand, work: () => Promise<T>): Promise<T> => {
    const startedAt = clock.monotonic()
    try {
      const reply = await work()
      answering = true
      options.observe?.(command, clock.monotonic() - startedAt, false)
      return reply
    } catch (error) {
      answering = false
      options.observe?.(command, clock.monotonic() - startedAt, true)
      throw error
    }
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
        refuseIfFinal(error, plan)
        if (connection.failure !== null) refuseIfFinal(connection.failure, plan)
        if (tries === 0 || tries % 20 === 0) {
          log.warn(
            { code: 'REDIS_UNREACHABLE', error: messageOf(connection.failure ?? error), tries },
            'Redis does not answer; waiting',
          )
        }
        await clock.sleep(Math.min(retryFirstMs * 2 ** Math.min(tries, 6), retryMaxMs), signal)
      }
    }
  }

  return {
    get answering() {
      return answering
    },
    run: ({ script, keys, args }, signal) =>
      untilAnswered(commandOf(script), () => runScript(redis, script, keys, args), signal),
    evictionPolicy: (signal) =>
      untilAnswered(
        'other',
        async () => {
          const info = await redis.info('memory')
          return /maxmemory_policy:(\S+)/.exec(info)?.[1] ?? 'unknown'
        },
        signal,
      ),
    close: async () => {
      redis.disconnect()
      await Promise.resolve()
    },
  }
}

async function runScript(
  redis: Redis,
  script: string,
  keys: readonly string[],
  args: readonly (string | Buffer)[],
): Promise<Reply> {
  const commands = redis as unknown as Record<string, (...args: unknown[]) => Promise<Reply>>
  const command = commands[`${script}Buffer`]
  if (command === undefined) throw new MillraceError('INTERNAL', `no Redis script ${script}`)
  return command.call(redis, keys.length, ...keys, ...args)
}

function commandOf(script: ScriptName): RedisCommand {
  if (script === 'millraceLoad') return 'load'
  if (script === 'millraceFlush') return 'flush'
  return script === 'millraceWatermarks' ? 'watermarks' : 'other'
}

/** Replies that waiting does not mend. */
function refuseIfFinal(error: unknown, plan: RedisPlan): void {
  const message = messageOf(error)
  const address = new URL(plan.url).host
  if (/^(NOAUTH|WRONGPASS|NOPERM|DENIED)/.test(message)) {
    throw new MillraceError('REDIS_UNAUTHORISED', `Redis ${address} refuses the credentials: ${message}`, {
      cause: error,
    })
  }
  if (/^(WRONGTYPE|ERR )/.test(message)) {
    throw new MillraceError('INTERNAL', `Redis ${address} refused a command: ${message}`, { cause: error })
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
