import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { MillraceError } from '../errors.ts'
import { cached, packageDir, type Report } from './cache.ts'
import { dependencyPlugin, findJava, runMaven } from './java.ts'
import { kafkaAnswers } from './kafka-handshake.ts'
import { assertPortFree, freePorts } from './ports.ts'
import { type ServerLaunch, startOnFreePort, type WatchedServer } from './watched-process.ts'

// Not 4.3.1, which loses acknowledged commits: docs/decisions/0011-kafka-4.2-not-4.3.md
export const kafkaVersion = '4.2.0'
// One fixed id: a data folder is only ever opened by the server that formatted it.
const clusterId = 'millraceLocalStackAAAA'

export interface KafkaOptions {
  /** Data, configuration and log; formatted when empty, reused (same topics) when it was used before. */
  readonly dir: string
  /** Client port; free when left out. */
  readonly port?: number
  /** Extra broker settings; they win over the ones below. */
  readonly config?: Readonly<Record<string, string | number | boolean>>
  /** Remove `dir` when this process dies without stopping the server. */
  readonly temporary?: boolean
  /** Heap of the broker, MiB. */
  readonly heapMb?: number
  readonly report?: Report
  readonly signal?: AbortSignal
}

export interface KafkaServer extends WatchedServer {
  /** host:port, for `brokers`. */
  readonly brokers: string
}

/** A one-node KRaft broker that ends with this process. */
export async function startKafka(options: KafkaOptions): Promise<KafkaServer> {
  const { server, brokers } = await startOnFreePort(() => prepareKafka(options), options.signal)
  return { ...server, brokers }
}

/** Downloads, configures and formats; what is left is to run the command. */
export async function prepareKafka(
  options: KafkaOptions,
): Promise<{ launch: ServerLaunch; brokers: string }> {
  const java = await findJava()
  const jars = await kafkaJars(options.report ?? (() => {}), options.signal)
  if (options.port !== undefined) await assertPortFree(options.port, 'Kafka')
  const [freePort = 0, controllerPort = 0] = await freePorts(2)
  const port = options.port ?? freePort
  await mkdir(options.dir, { recursive: true })
  const propertiesFile = join(options.dir, 'server.properties')
  const properties = { ...brokerProperties(options.dir, port, controllerPort), ...options.config }
  await writeFile(propertiesFile, propertiesText(properties))
  if (!existsSync(join(options.dir, 'data', 'meta.properties'))) await format(java, jars, propertiesFile)
  const launch: ServerLaunch = {
    name: 'Kafka',
    command: java,
    args: [
      `-Xmx${options.heapMb ?? heapMbDefault}m`,
      ...serverJvmFlags,
      '-cp',
      join(jars, '*'),
      'kafka.Kafka',
      propertiesFile,
    ],
    logFile: join(options.dir, 'kafka.log'),
    probe: (signal) => kafkaAnswers('127.0.0.1', port, signal),
    ...(options.temporary ? { removeAfterCrash: options.dir } : {}),
  }
  return { launch, brokers: `127.0.0.1:${port}` }
}

/** The folder with the broker's and its tools' jars; downloaded once. */
export function kafkaJars(report: Report, signal?: AbortSignal): Promise<string> {
  const fill = async (dir: string): Promise<void> => {
    report(`downloading Kafka ${kafkaVersion} (54 MB, once)`)
    const pom = join(packageDir, 'tools', 'kafka', 'pom.xml')
    const args = ['-f', pom, `${dependencyPlugin}:copy-dependencies`, `-DoutputDirectory=${dir}`]
    await runMaven(args, dir, `Kafka ${kafkaVersion}`, signal)
  }
  return cached(`kafka-${kafkaVersion}`, fill, report, signal)
}

// Fast to start rather than fast for ever: one collector thread, first compiler tier only.
const quickJvmFlags = [
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
]
const heapMbDefault = 512
const serverJvmFlags = [
  ...quickJvmFlags,
  '-Dorg.slf4j.simpleLogger.showDateTime=true',
  '-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS',
]

/** Arguments of `java` for one of Kafka's own command line tools. */
export function kafkaToolArgs(jars: string, mainClass: string, args: readonly string[]): string[] {
  return ['-Xmx128m', ...quickJvmFlags, '-cp', join(jars, '*'), mainClass, ...args]
}

async function format(java: string, jars: string, propertiesFile: string): Promise<void> {
  const args = kafkaToolArgs(jars, 'kafka.tools.StorageTool', [
    'format',
    '-t',
    clusterId,
    '-c',
    propertiesFile,
  ])
  try {
    await promisify(execFile)(java, args)
  } catch (cause) {
    const { stderr } = cause as { stderr?: string }
    const message = `Kafka could not format its data folder (${propertiesFile}): ${stderr?.trim() ?? ''}`
    throw new MillraceError('STACK_UNAVAILABLE', message, { cause })
  }
}

function brokerProperties(
  dir: string,
  port: number,
  controllerPort: number,
): Record<string, string | number | boolean> {
  return {
    'node.id': 1,
    'process.roles': 'broker,controller',
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    'controller.listener.names': 'CONTROLLER',
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'log.dirs': join(dir, 'data'),
    'auto.create.topics.enable': false,
    'delete.topic.enable': true,
    // one node can only hold one replica; fewer partitions of the internal topics start faster
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 4,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 4,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    'group.initial.rebalance.delay.ms': 0,
    // a killed broker may come back only after its old registration has expired; the default of 9 s is long to wait
    'broker.session.timeout.ms': 3_000,
    'broker.heartbeat.interval.ms': 500,
    // the demo preloads weeks of backdated events, which retention by event time would delete at once
    'log.retention.ms': -1,
    'log.message.timestamp.before.max.ms': '9223372036854775807',
    'log.message.timestamp.after.max.ms': '9223372036854775807',
    // small buffers and few threads: this broker shares a laptop
    'log.cleaner.dedupe.buffer.size': 16 * 1024 * 1024,
    'num.network.threads': 2,
    'num.io.threads': 4,
    'background.threads': 2,
    'num.recovery.threads.per.data.dir': 2,
  }
}

function propertiesText(properties: Readonly<Record<string, string | number | boolean>>): string {
  const escape = (text: string): string => text.replaceAll('\\', '\\\\')
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${escape(String(value))}\n`)
    .join('')
}
