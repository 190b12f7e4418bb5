import { describe, expect, test } from 'vitest'
import { devCommand, formatServers } from '../../../src/cli/dev.ts'

const kafka = {
  name: 'kafka',
  address: '127.0.0.1:9092',
  pid: 7,
  logFile: '/d/kafka.log',
  isRunning: true,
} as const
const redis = {
  name: 'redis',
  address: 'redis://127.0.0.1:6379',
  pid: 8,
  logFile: '/d/r.log',
  isRunning: false,
} as const

describe('millrace dev', () => {
  test('prints servers in aligned columns, or as JSON', () => {
    expect(formatServers([kafka, redis], 'table')).toBe(
      'Kafka  127.0.0.1:9092          running (pid 7)  /d/kafka.log\n' +
        'Redis  redis://127.0.0.1:6379  stopped          /d/r.log\n',
    )
    expect(JSON.parse(formatServers([kafka], 'json'))).toEqual([kafka])
    expect(formatServers([], 'table')).toBe('')
  })

  test('offers --topics only when topologies can be read', () => {
    const optionsOf = (command: ReturnType<typeof devCommand>): (string | undefined)[] =>
      command.commands.find((sub) => sub.name() === 'up')?.options.map(({ long }) => long ?? undefined) ?? []
    expect(optionsOf(devCommand())).not.toContain('--topics')
    expect(optionsOf(devCommand(() => Promise.resolve([])))).toContain('--topics')
  })
})
