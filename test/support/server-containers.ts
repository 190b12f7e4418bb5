import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { GenericContainer, getContainerRuntimeClient, type StartedTestContainer, Wait } from 'testcontainers'
import { parse } from 'yaml'
import { freePorts } from '../../src/stack/ports.ts'
import { testBrokerSettings, type TestServers } from './test-servers.ts'

/*
 * The servers of docker-compose.yml in containers, started with testcontainers: asked for with MILLRACE_TEST_DOCKER=1.
 * Images and settings are read from that file, so what is tested is what people start.
 */
interface ComposeService {
  readonly image: string
  readonly command?: string | readonly string[]
  readonly environment?: Readonly<Record<string, string | number>>
}

const startMaxMs = 120_000 // images may have to be fetched first

// As the process servers: tests write events of any time, and read them long after.
const brokerSettings = {
  ...testBrokerSettings,
  'log.retention.ms': -1,
  'log.message.timestamp.before.max.ms': '9223372036854775807',
  'log.message.timestamp.after.max.ms': '9223372036854775807',
}

export async function containerServers(): Promise<TestServers> {
  const { host } = (await getContainerRuntimeClient()).info.containerRuntime
  const started: StartedTestContainer[] = []
  const start = async (container: GenericContainer): Promise<StartedTestContainer> => {
    const running = await container.withStartupTimeout(startMaxMs).start()
    started.push(running)
    return running
  }
  const close = async (): Promise<void> => {
    await Promise.all(started.map((container) => container.stop()))
  }
  try {
    const [kafka, redis] = await Promise.all([startKafka(host, start), startRedis(start)])
    return {
      brokers: kafka,
      redisUrl: redis,
      startRegistry: () => startRegistry(start),
      close,
    }
  } catch (cause) {
    await close()
    throw cause
  }
}

type Start = (container: GenericContainer) => Promise<StartedTestContainer>

/** A broker tells its clients its own address, so its port is chosen before it starts. */
async function startKafka(host: string, start: Start): Promise<string> {
  const [port = 0] = await freePorts(1)
  const { image, environment } = service('kafka', { MILLRACE_KAFKA_PORT: String(port) })
  const advertised = `INSIDE://127.0.0.1:19092,OUTSIDE://${host}:${port}`
  await start(
    new GenericContainer(image)
      .withEnvironment({
        ...environment,
        ...asEnvironment(brokerSettings),
        KAFKA_ADVERTISED_LISTENERS: advertised,
      })
      .withExposedPorts({ container: 9092, host: port })
      .withWaitStrategy(Wait.forListeningPorts()),
  )
  return `${host}:${port}`
}

/** How the image takes broker settings. */
function asEnvironment(settings: Readonly<Record<string, string | number>>): Record<string, string> {
  const nameOf = (setting: string): string => `KAFKA_${setting.toUpperCase().replaceAll('.', '_')}`
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [nameOf(name), String(value)]))
}

async function startRedis(start: Start): Promise<string> {
  const { image, command } = service('redis')
  const redis = await start(
    new GenericContainer(image)
      .withCommand(command)
      .withExposedPorts(6379)
      .withWaitStrategy(Wait.forLogMessage('Ready to accept connections')),
  )
  return `redis://${redis.getHost()}:${redis.getMappedPort(6379)}`
}

/** Keeps schemas in memory: unlike that of docker-compose.yml, it need not find the broker. */
async function startRegistry(start: Start): Promise<string> {
  const { image, environment } = service('registry')
  const path = '/apis/ccompat/v7'
  const memoryLimit = environment['JAVA_OPTS_APPEND'] ?? ''
  const registry = await start(
    new GenericContainer(image)
      .withEnvironment({ JAVA_OPTS_APPEND: memoryLimit })
      .withExposedPorts(8080)
      .withWaitStrategy(Wait.forHttp(`${path}/subjects`, 8080)),
  )
  return `http://${registry.getHost()}:${registry.getMappedPort(8080)}${path}`
}

/** One service of docker-compose.yml, its `${NAME:-default}` replaced. */
function service(
  name: string,
  variables: Readonly<Record<string, string>> = {},
): { image: string; command: string[]; environment: Record<string, string> } {
  const text = readFileSync(join(import.meta.dirname, '..', '..', 'docker-compose.yml'), 'utf8')
  const replaced = text.replaceAll(
    /\$\{(\w+):-([^}]*)\}/g,
    (_, variable: string, fallback: string) => variables[variable] ?? fallback,
  )
  const found = (parse(replaced, { merge: true }) as { services: Record<string, ComposeService> }).services[
    name
  ]
  if (found === undefined) throw new Error(`docker-compose.yml has no service ${name}`)
  const { image, command = [], environment = {} } = found
  return {
    image,
    command: typeof command === 'string' ? wordsOf(command) : [...command],
    environment: Object.fromEntries(Object.entries(environment).map(([key, value]) => [key, String(value)])),
  }
}

/** The words of a command as a shell splits them, for double quotes only. */
function wordsOf(command: string): string[] {
  return (command.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replaceAll('"', ''))
}
