import { expect, test } from 'vitest'
import { kafkajsLogCreator } from '../../../src/kafka/log.ts'
import type { Log, LogFields } from '../../../src/telemetry/log.ts'

type Line = [level: string, message: string, fields: LogFields]

function logged(level: number, message: string, fields: Record<string, unknown> = {}): Line[] {
  const lines: Line[] = []
  const at = (name: string) => (kept: LogFields, text: string) => void lines.push([name, text, kept])
  const log: Log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
  const entry = { message, timestamp: 'now', ...fields }
  kafkajsLogCreator(log)(4)({ namespace: 'Connection', level, label: '', log: entry })
  return lines
}

test.each([
  [1, 'warn'],
  [2, 'info'],
  [4, 'debug'],
  [5, 'debug'],
])('level %i of kafkajs becomes %s: real trouble is raised, not logged', (level, expected) => {
  expect(logged(level, 'Something')).toEqual([[expected, 'kafkajs: Something', expect.anything()]])
})

test.each([
  'Failed to send messages: the leader moved',
  'Connection error: connect ECONNREFUSED 127.0.0.1:9092',
])('retried sends, and each try to reach a broker, are normal work: %s', (message) => {
  expect(logged(1, message)).toMatchObject([['debug', expect.any(String), {}]])
})

test('only known fields are kept, so no credential can get through', () => {
  const secret = { sasl: { password: 'p' }, ssl: { key: 'k' }, payload: Buffer.from('p'), stack: 'at …' }
  const [line] = logged(1, 'x', { ...secret, broker: 'b:1', error: new Error('why') })
  expect(line?.[2]).toEqual({ namespace: 'Connection', broker: 'b:1', error: 'why' })
})
