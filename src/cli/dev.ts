import { Command, InvalidArgumentError, Option } from 'commander'
import { MillraceError } from '../errors.ts'
import {
  devDown,
  devPorts,
  type DevServerName,
  type DevServerStatus,
  devStatus,
  devUp,
} from '../stack/dev.ts'
import { givenServers } from '../stack/stack.ts'

/** Creates every topic of a topology file; returns the names of those that were missing. */
export type CreateTopics = (topologyFile: string, brokers: string) => Promise<readonly string[]>

interface OutputOptions {
  readonly output: 'table' | 'json'
}

interface UpOptions extends OutputOptions {
  readonly registry?: boolean
  readonly kafkaPort: number
  readonly redisPort: number
  readonly registryPort: number
  readonly topics?: string
}

/** `millrace dev`; `up --topics` is offered only when the caller can read topologies. */
export function devCommand(createTopics?: CreateTopics): Command {
  return new Command('dev')
    .description('A local Kafka and Redis as plain processes, without Docker.')
    .addCommand(upCommand(createTopics))
    .addCommand(downCommand())
    .addCommand(statusCommand())
}

function upCommand(createTopics: CreateTopics | undefined): Command {
  const command = new Command('up')
    .description('Start what does not run yet, on the data of the last time.')
    .option('--registry', 'start a schema registry too')
    .option('--kafka-port <port>', 'port of Kafka', parsePort, devPorts.kafka)
    .option('--redis-port <port>', 'port of Redis', parsePort, devPorts.redis)
    .option('--registry-port <port>', 'port of the schema registry', parsePort, devPorts.registry)
    .addOption(outputOption())
  if (createTopics) command.option('--topics <file>', 'create the topics of this topology')
  return command.action(async (options: UpOptions) => {
    refuseGivenServers()
    const servers = await devUp({
      ...(options.registry ? { registry: true } : {}),
      ports: { kafka: options.kafkaPort, redis: options.redisPort, registry: options.registryPort },
      report,
    })
    const kafka = servers.find(({ name }) => name === 'kafka')
    if (options.topics !== undefined && createTopics && kafka) {
      for (const topic of await createTopics(options.topics, kafka.address)) report(`created topic ${topic}`)
    }
    print(servers, options)
  })
}

function downCommand(): Command {
  return new Command('down')
    .description('Stop the local servers; their data stays.')
    .option('--wipe', 'delete topics, state and logs too')
    .addOption(outputOption())
    .action(async (options: OutputOptions & { readonly wipe?: boolean }) => {
      const stopped = await devDown({ report, ...(options.wipe ? { wipe: true } : {}) })
      report(
        stopped.length === 0
          ? 'nothing was running'
          : `stopped ${stopped.map(({ name }) => name).join(', ')}`,
      )
      if (options.output === 'json') print([], options)
    })
}

function statusCommand(): Command {
  return new Command('status')
    .description('Tell what runs, and where.')
    .addOption(outputOption())
    .action(async (options: OutputOptions) => {
      const servers = await devStatus()
      if (servers.length === 0 && options.output === 'table')
        report('nothing runs; start it with `millrace dev up`')
      print(servers, options)
    })
}

function outputOption(): Option {
  return new Option('-o, --output <format>', 'how to print').choices(['table', 'json']).default('table')
}

function parsePort(text: string): number {
  const port = Number(text)
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new InvalidArgumentError('a port is 1 to 65535')
  return port
}

/** Starting servers nobody would use is a misunderstanding. */
function refuseGivenServers(): void {
  const { brokers, redisUrl } = givenServers()
  if (brokers === null && redisUrl === null) return
  const message =
    'MILLRACE_BROKERS or MILLRACE_REDIS is set, so commands use those servers. Unset both for local ones.'
  throw new MillraceError('USAGE', message)
}

function report(line: string): void {
  process.stderr.write(`dev: ${line}\n`)
}

const titles: Record<DevServerName, string> = { kafka: 'Kafka', redis: 'Redis', registry: 'Schema registry' }

/** The servers as a table or as JSON, for stdout. */
export function formatServers(servers: readonly DevServerStatus[], format: OutputOptions['output']): string {
  if (format === 'json') return `${JSON.stringify(servers, null, 2)}\n`
  const rows = servers.map(({ name, address, pid, isRunning, logFile }) => [
    titles[name],
    address,
    isRunning ? `running (pid ${pid})` : 'stopped',
    logFile,
  ])
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) => `${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}\n`).join('')
}

function print(servers: readonly DevServerStatus[], { output }: OutputOptions): void {
  process.stdout.write(formatServers(servers, output))
}
