import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { MillraceError } from '../errors.ts'
import { packageDir } from './cache.ts'
import { composeProblem } from './docker.ts'
import { kafkaAnswers } from './kafka-handshake.ts'
import type { WantedServers } from './missing.ts'
import { freePorts } from './ports.ts'
import { redisAnswers } from './redis-server.ts'
import type { Stack, StackOptions } from './stack-options.ts'
import { startWatched, type WatchedServer } from './watched-process.ts'

const run = promisify(execFile)
const composeFile = join(packageDir, 'docker-compose.yml')
const host = '127.0.0.1' // where docker-compose.yml publishes its ports

interface GivenServers {
  readonly brokers: string | null
  readonly redisUrl: string | null
  readonly registryUrl: string | null
}

/**
 * Kafka and Redis of docker-compose.yml in a project of their own, on free ports, so they meddle with no other
 * `docker compose up`; containers, network and volumes are removed at the end. Throws STACK_UNAVAILABLE, with both
 * reasons, without Docker.
 */
export async function openComposeStack(
  options: StackOptions,
  wanted: WantedServers,
  given: GivenServers,
  missing: string,
): Promise<Stack> {
  const problem = existsSync(composeFile) ? await composeProblem() : `there is no ${composeFile}`
  const removeDir = async (): Promise<void> => {
    if (options.temporary) await rm(options.dir, { recursive: true, force: true })
  }
  if (problem !== null) {
    await removeDir()
    const message = `${missing}\nDocker would do as well, but ${problem}.`
    throw new MillraceError('STACK_UNAVAILABLE', message)
  }
  const services = [...(wanted.kafka ? ['kafka'] : []), ...(wanted.redis ? ['redis'] : [])]
  options.report?.(`${missing.split('. ')[0]}.`) // the advice after the first sentence is not needed
  options.report?.(
    `So Docker runs ${services.join(' and ')} for as long as this lasts (docker compose; images are fetched once).`,
  )
  const [kafkaPort = 0, redisPort = 0] = await freePorts(2)
  const project = `millrace-demo-${randomUUID().slice(0, 8)}`
  const environment = { MILLRACE_KAFKA_PORT: String(kafkaPort), MILLRACE_REDIS_PORT: String(redisPort) }
  const remove = (): Promise<void> => removeProject(project, environment)
  try {
    // fetching images may take minutes, which the watcher would take for a failed start
    await compose(project, ['up', '--no-start', ...services], environment, options.signal)
    const server = await startServices(options, project, services, environment, async (signal) => {
      if (wanted.kafka) await kafkaAnswers(host, kafkaPort, signal)
      if (wanted.redis) await redisAnswers(redisPort, signal)
    })
    const close = async (): Promise<void> => {
      options.report?.(`stopping the containers of ${project}`)
      await server.stop()
      await remove()
      await removeDir()
    }
    return {
      brokers: given.brokers ?? `${host}:${kafkaPort}`,
      redisUrl: given.redisUrl ?? `redis://${host}:${redisPort}`,
      registryUrl: given.registryUrl,
      servers: [server],
      close,
      [Symbol.asyncDispose]: close,
    }
  } catch (cause) {
    await remove().catch(() => {}) // the first failure is the one to tell
    await removeDir()
    throw cause
  }
}

/*
 * Runs under the watcher of all servers, which sends SIGTERM when this process ends, however it ends. `down` is called
 * here because the docker client does not hand signals on to compose reliably. Arguments: the services as one word,
 * then the compose command.
 */
const composeScript = `
services=$1; shift
trap '"$@" down --volumes; exit 0' TERM
"$@" up --detach $services || exit
"$@" logs --follow & wait $!
`

function startServices(
  options: StackOptions,
  project: string,
  services: readonly string[],
  environment: Readonly<Record<string, string>>,
  probe: (signal: AbortSignal) => Promise<void>,
): Promise<WatchedServer> {
  const assignments = Object.entries(environment).map(([name, value]) => `${name}=${value}`)
  const script = ['sh', '-c', composeScript, 'compose', services.join(' ')]
  const launch = {
    name: 'docker compose',
    command: 'env',
    args: [...assignments, ...script, 'docker', ...composeArgs(project, [])],
    logFile: join(options.dir, 'docker-compose.log'),
    probe,
    ...(options.temporary ? { removeAfterCrash: options.dir } : {}),
  }
  return startWatched(launch, options.signal)
}

/** For what the script could not: a failed start, a daemon that was slow to stop. */
function removeProject(project: string, environment: Readonly<Record<string, string>>): Promise<void> {
  return compose(project, ['down', '--volumes'], environment)
}

async function compose(
  project: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  signal?: AbortSignal,
): Promise<void> {
  try {
    const env = { ...process.env, ...environment }
    await run('docker', composeArgs(project, args), {
      env,
      maxBuffer: 16 * 1024 * 1024,
      ...(signal ? { signal } : {}),
    })
  } catch (cause) {
    signal?.throwIfAborted()
    const { stderr } = cause as { stderr?: string }
    const shown = (stderr ?? String(cause)).trim().split('\n').slice(-5).join('\n')
    throw new MillraceError('STACK_UNAVAILABLE', `\`docker compose ${args[0]}\` failed:\n${shown}`, { cause })
  }
}

function composeArgs(project: string, args: readonly string[]): string[] {
  return ['compose', '--project-name', project, '--file', composeFile, ...args]
}
