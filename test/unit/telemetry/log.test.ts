import { describe, expect, test } from 'vitest'
import { MillraceError } from '../../../src/errors.ts'
import {
  createLog,
  logLevelOf,
  openLog,
  quietLog,
  withFields,
  type LogOptions,
} from '../../../src/telemetry/log.ts'

function record(options: Partial<LogOptions> = {}) {
  const lines: string[] = []
  const log = createLog({
    level: 'info',
    format: 'json',
    colour: false,
    write: (line) => void lines.push(line),
    ...options,
  })
  return { log, lines, parsed: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) }
}

describe('a log line', () => {
  test('is JSON with level name, ISO time, message and fields', () => {
    const { log, parsed } = record()
    log.warn({ topic: 'card', partition: 3, offset: 12 }, 'rebalanced')
    expect(parsed()).toEqual([
      {
        level: 'warn',
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/) as string,
        topic: 'card',
        partition: 3,
        offset: 12,
        msg: 'rebalanced',
      },
    ])
  })

  test('below the level is not written', () => {
    const { log, lines } = record({ level: 'warn' })
    log.info({}, 'unseen')
    log.debug({}, 'unseen')
    log.error({}, 'seen')
    expect(lines).toHaveLength(1)
  })

  test('keeps code, message, stack and cause of an error', () => {
    const { log, parsed } = record()
    const cause = new Error('connect ECONNREFUSED')
    log.error({ err: new MillraceError('REDIS_UNREACHABLE', 'Redis is away', { cause }) }, 'stopped')
    expect(parsed()[0]).toMatchObject({
      err: {
        name: 'MillraceError',
        code: 'REDIS_UNREACHABLE',
        message: 'Redis is away',
        cause: { message: 'connect ECONNREFUSED' },
      },
    })
  })
})

describe('secrets and record contents', () => {
  const canary = 'c4n4ry'

  test('never reach a line, wherever they are', () => {
    const { log, lines } = record({ level: 'debug' })
    const looped: Record<string, unknown> = { password: canary }
    looped['self'] = looped
    log.info({ redis: `redis://:${canary}@host:6379/0` }, `at rediss://user:${canary}@host`)
    log.info({ sasl: { mechanism: 'plain', username: 'svc', password: canary } }, 'plan')
    log.info({ kafka: { ssl: { privateKey: canary, passphrase: canary } }, apiKey: canary }, 'plan')
    log.info({ token: canary, clientSecret: canary, Authorization: canary, sslPassword: canary }, 'plan')
    log.info(
      { key: canary, value: Buffer.from(canary), headers: { a: canary }, fields: { a: canary } },
      'record',
    )
    log.info(
      { list: [Buffer.from(canary), `https://u:${canary}@registry`], map: new Map([['secret', canary]]) },
      'x',
    )
    log.info({ bytes: new TextEncoder().encode(canary), looped }, `password=${canary} rest`)
    const error = new Error(`WRONGPASS redis://u:${canary}@h`, { cause: { password: canary } })
    log.error({ err: Object.assign(error, { config: { data: canary } }) }, 'failed')
    expect(lines).toHaveLength(8)
    expect(lines.join('')).not.toContain(canary)
    expect(lines.join('')).not.toContain(JSON.stringify([...Buffer.from(canary)]).slice(1, -1))
  })

  test('leave hosts, users and ordinary fields readable', () => {
    const { log, parsed } = record()
    log.info(
      { url: 'redis://svc:x@cache:6379/0', keys: 12, broker: '127.0.0.1:9092', at: new Date(0) },
      'open',
    )
    expect(parsed()[0]).toMatchObject({
      url: 'redis://svc:[redacted]@cache:6379/0',
      keys: 12,
      broker: '127.0.0.1:9092',
      at: '1970-01-01T00:00:00.000Z',
    })
  })

  test('do not change what the caller passed', () => {
    const { log } = record()
    const fields = { sasl: { password: 'x' } }
    log.info(fields, 'plan')
    expect(fields.sasl.password).toBe('x')
  })
})

describe('at a terminal', () => {
  test('a line is short, with the stack of an error below', () => {
    const { log, lines } = record({ format: 'line' })
    log.info({ topic: 'card', partitions: [0, 1] }, 'joined')
    const error = new Error('no leader')
    error.stack = 'Error: no leader\n    at here'
    log.error({ err: error }, 'stopped')
    expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d info {2}joined topic=card partitions=\[0,1\]\n$/)
    expect(lines[1]).toMatch(
      /^\d\d:\d\d:\d\d error stopped err="no leader"\nError: no leader\n {4}at here\n$/,
    )
  })

  test('openLog colours it there, but not with NO_COLOR, and writes JSON elsewhere', () => {
    const write = (environment: Record<string, string>, isTTY: boolean) => {
      let text = ''
      openLog(environment, { isTTY, write: (line) => (text += line) }).info({ a: 1 }, 'm')
      return text
    }
    expect(write({}, true)).toContain('\u001b[36minfo')
    expect(write({ NO_COLOR: '1' }, true)).toMatch(/ info {2}m a=1\n$/)
    expect(JSON.parse(write({}, false))).toMatchObject({ level: 'info', a: 1, msg: 'm' })
    expect(write({ MILLRACE_LOG: 'error' }, false)).toBe('')
  })
})

test('withFields adds its fields to every call', () => {
  const { log, parsed } = record()
  withFields(log, { topic: 'card', partition: 1 }).info({ partition: 2 }, 'm')
  expect(parsed()[0]).toMatchObject({ topic: 'card', partition: 2 })
})

test('an unknown level name is info', () => {
  expect(['debug', ' WARN ', 'silent', 'loud', undefined].map(logLevelOf)).toEqual([
    'debug',
    'warn',
    'silent',
    'info',
    'info',
  ])
})

test('the quiet log takes every call', () => {
  for (const level of ['debug', 'info', 'warn', 'error'] as const)
    expect(quietLog[level]({}, 'm')).toBeUndefined()
})
