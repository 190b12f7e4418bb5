import { pino } from 'pino'
import { redactFields, redactText } from './redact.ts'
import { visible } from './visible.ts'

/**
 * What happened, for the person who runs this. Fields are data (topic, partition, offset, code, …), the message a
 * constant sentence. Secrets and record contents are removed here, whatever the caller passes.
 */
export interface Log {
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
}

export type LogFields = Readonly<Record<string, unknown>>

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

export interface LogOptions {
  readonly level: LogLevel
  /** One line per call, newline included. */
  readonly write: (line: string) => void
  /** `json` for machines; `line` for a person at a terminal. */
  readonly format: 'json' | 'line'
  /** ANSI colours in `line` format. */
  readonly colour: boolean
}

/** `MILLRACE_LOG`: a level name; anything else, or nothing, is `info`. */
export function logLevelOf(text: string | undefined): LogLevel {
  const wanted = text?.trim().toLowerCase()
  return logLevels.find((level) => level === wanted) ?? 'info'
}

/** The log of a process: standard error, JSON unless that is a terminal. Written at once, so nothing is lost at exit. */
export function openLog(environment: Readonly<Record<string, string | undefined>>, stderr: LogStream): Log {
  const terminal = stderr.isTTY === true
  return createLog({
    level: logLevelOf(environment['MILLRACE_LOG']),
    format: terminal ? 'line' : 'json',
    colour: terminal && !environment['NO_COLOR'],
    write: (line) => void stderr.write(line),
  })
}

export interface LogStream {
  readonly isTTY?: boolean
  write(text: string): unknown
}

export function createLog(options: LogOptions): Log {
  const write =
    options.format === 'json'
      ? options.write
      : (json: string) => options.write(formatLine(json, options.colour))
  const logger = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      serializers: { err: (fields: unknown) => fields }, // pino's own would undo redactFields
      formatters: { level: (label) => ({ level: label }) },
    },
    { write },
  )
  const at = (level: 'debug' | 'info' | 'warn' | 'error') => (fields: LogFields, message: string) => {
    if (logger.isLevelEnabled(level)) logger[level](redactFields(fields), redactText(message))
  }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

/** The same log with fields added to every call. */
export function withFields(log: Log, fields: LogFields): Log {
  return {
    debug: (more, message) => log.debug({ ...fields, ...more }, message),
    info: (more, message) => log.info({ ...fields, ...more }, message),
    warn: (more, message) => log.warn({ ...fields, ...more }, message),
    error: (more, message) => log.error({ ...fields, ...more }, message),
  }
}

/** Says nothing. */
export const quietLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
}

const levelColours: Readonly<Record<string, string>> = { debug: '2', info: '36', warn: '33', error: '31' }

/** `12:04:05 warn  message  topic=t partition=3`; an error adds its text, and its stack below. */
export function formatLine(json: string, colour: boolean): string {
  const { time, level, msg, ...fields } = JSON.parse(json) as Record<string, unknown>
  const clock = typeof time === 'string' ? time.slice(11, 19) : ''
  const name = String(level)
  const painted = colour ? `\u001b[${levelColours[name] ?? '0'}m${name.padEnd(5)}\u001b[0m` : name.padEnd(5)
  let stack = ''
  const pairs = Object.entries(fields).map(([field, value]) => {
    if (!isErrorFields(value))
      return `${field}=${visible(typeof value === 'string' ? value : JSON.stringify(value))}`
    if (value.stack) stack += `\n${value.stack}`
    return `${field}="${visible(value.message)}"`
  })
  return `${[clock, painted, typeof msg === 'string' ? msg : '', ...pairs].filter((part) => part !== '').join(' ')}${stack}\n`
}

function isErrorFields(value: unknown): value is { message: string; stack?: string } {
  return typeof value === 'object' && value !== null && 'message' in value && 'name' in value
}
