import type { LogEntry, logLevel as LogLevel } from 'kafkajs'
import type { Log, LogFields } from '../telemetry/log.ts'

/** Fields of kafkajs that say where and why. An allow-list: nothing else, so no credential, can get through. */
const fieldsKept = [
  'broker',
  'clientId',
  'groupId',
  'memberId',
  'generationId',
  'topic',
  'partition',
  'error',
  'retryCount',
  'retryTime',
  'correlationId',
  'transactionalId',
] as const

/**
 * kafkajs calls every retry an error and every pause information. What is real trouble is raised by this
 * program itself, so its lines come one level lower.
 */
const levels: Readonly<Record<number, 'debug' | 'info' | 'warn'>> = {
  1: 'warn',
  2: 'info',
  4: 'debug',
  5: 'debug',
}

/**
 * Lines that happen in normal work, at any level: a retried send, a seed broker tried in turn; and one for each try to reach
 * a broker that is away, which whoever waits for it has already told.
 */
const noise = [
  /^Response (?!without)/,
  /^Failed to send messages/,
  /^Failed to connect to seed broker/,
  /^Connection (error|timeout)/,
]

export function kafkajsLogCreator(log: Log): (level: LogLevel) => (entry: LogEntry) => void {
  return () =>
    ({ namespace, level, log: line }) => {
      const quiet = noise.some((pattern) => pattern.test(line.message))
      log[quiet ? 'debug' : (levels[level] ?? 'debug')](fieldsOf(namespace, line), `kafkajs: ${line.message}`)
    }
}

function fieldsOf(namespace: string, line: Readonly<Record<string, unknown>>): LogFields {
  const fields: Record<string, unknown> = { namespace }
  for (const name of fieldsKept) {
    const value = line[name]
    if (value !== undefined) fields[name] = value instanceof Error ? value.message : value
  }
  return fields
}
