import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Report } from './cache.ts'
import { openComposeStack } from './compose-stack.ts'
import { startKafka } from './kafka-server.ts'
import { missingForProcesses } from './missing.ts'
import { startRedis } from './redis-server.ts'
import { startRegistry } from './registry-server.ts'
import type { Stack, StackOptions } from './stack-options.ts'
import type { WatchedServer } from './watched-process.ts'

/** Starts what the environment does not name, side by side. They end with this process at the latest. */
export async function openStack(options: StackOptions): Promise<Stack> {
  const given = givenServers()
  if (options.docker && !options.registry) {
    const wanted = { kafka: given.brokers === null, redis: given.redisUrl === null }
    const missing = await missingForProcesses(wanted)
    if (missing !== null) return openComposeStack(options, wanted, given, missing)
  }
  const failed = new AbortController()
  const signal = AbortSignal.any([failed.signal, ...(options.signal ? [options.signal] : [])])
  const servers: WatchedServer[] = []
  const keep = <S extends WatchedServer>(server: S): S => {
    servers.push(server)
    return server
  }
  const close = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()))
    if (options.temporary) await rm(options.dir, { recursive: true, force: true })
  }
  const openKafka = async (): Promise<string> =>
    given.brokers ??
    keep(await startKafka({ ...partOf(options, 'kafka'), ...configOf(options), signal })).brokers
  const openRedis = async (): Promise<string> =>
    given.redisUrl ?? keep(await startRedis({ ...partOf(options, 'redis'), signal })).url
  const openRegistry = async (): Promise<string | null> => {
    if (given.registryUrl !== null || !options.registry) return given.registryUrl
    return keep(await startRegistry({ ...partOf(options, 'registry'), signal })).url
  }
  const started: [Promise<string>, Promise<string>, Promise<string | null>] = [
    openKafka(),
    openRedis(),
    openRegistry(),
  ]
  try {
    const [brokers, redisUrl, registryUrl] = await Promise.all(started)
    return { brokers, redisUrl, registryUrl, servers, close, [Symbol.asyncDispose]: close }
  } catch (cause) {
    failed.abort(cause) // ends the starts that are still under way
    await Promise.allSettled(started)
    await close()
    throw cause
  }
}

/** Servers the environment points at; null where it names none. */
export function givenServers(env: NodeJS.ProcessEnv = process.env): {
  brokers: string | null
  redisUrl: string | null
  registryUrl: string | null
} {
  return {
    brokers: env['MILLRACE_BROKERS'] || null,
    redisUrl: env['MILLRACE_REDIS'] || null,
    registryUrl: env['MILLRACE_REGISTRY'] || null,
  }
}

interface Part {
  readonly dir: string
  readonly port?: number
  readonly temporary?: boolean
  readonly report?: Report
}

function partOf(options: StackOptions, part: 'kafka' | 'redis' | 'registry'): Part {
  const { temporary, report } = options
  const port = options.ports?.[part]
  return {
    dir: join(options.dir, part),
    ...(port === undefined ? {} : { port }),
    ...(temporary === undefined ? {} : { temporary }),
    ...(report === undefined ? {} : { report }),
  }
}

function configOf({ kafkaConfig }: StackOptions): { config?: NonNullable<StackOptions['kafkaConfig']> } {
  return kafkaConfig === undefined ? {} : { config: kafkaConfig }
}
