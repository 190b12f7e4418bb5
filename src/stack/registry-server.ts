import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { MillraceError } from '../errors.ts'
import { cached, type Report } from './cache.ts'
import { dependencyPlugin, findJava, runMaven } from './java.ts'
import { assertPortFree, freePorts } from './ports.ts'
import { type ServerLaunch, startOnFreePort, type WatchedServer } from './watched-process.ts'

const registryVersion = '3.0.9' // 3.3 and later need Java 21
const artifact = `io.apicurio:apicurio-registry-app:${registryVersion}:tar.gz:all`

export interface RegistryOptions {
  /** Working folder and log; schemas live in memory. */
  readonly dir: string
  /** Free when left out. */
  readonly port?: number
  /** Remove `dir` when this process dies without stopping the server. */
  readonly temporary?: boolean
  readonly report?: Report
  readonly signal?: AbortSignal
}

export interface RegistryServer extends WatchedServer {
  /** Base address of the Confluent-compatible API. */
  readonly url: string
}

/** A schema registry that ends with this process. */
export async function startRegistry(options: RegistryOptions): Promise<RegistryServer> {
  const { server, url } = await startOnFreePort(() => prepareRegistry(options), options.signal)
  return { ...server, url }
}

/** Downloads; what is left is to run the command. */
export async function prepareRegistry(
  options: RegistryOptions,
): Promise<{ launch: ServerLaunch; url: string }> {
  const java = await findJava()
  const jar = await runnerJar(options.report ?? (() => {}), options.signal)
  if (options.port !== undefined) await assertPortFree(options.port, 'the schema registry')
  const port = options.port ?? (await freePorts(1))[0] ?? 0
  await mkdir(options.dir, { recursive: true })
  const url = `http://127.0.0.1:${port}/apis/ccompat/v7`
  const quickStart = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']
  const listen = ['-Dquarkus.http.host=127.0.0.1', `-Dquarkus.http.port=${port}`, '-Dquarkus.log.level=WARN']
  const launch: ServerLaunch = {
    name: 'Schema registry',
    command: java,
    args: [...quickStart, ...listen, '-jar', jar],
    logFile: join(options.dir, 'registry.log'),
    probe: (signal) => registryAnswers(url, signal),
    ...(options.temporary ? { removeAfterCrash: options.dir } : {}),
  }
  return { launch, url }
}

async function runnerJar(report: Report, signal?: AbortSignal): Promise<string> {
  const fill = async (dir: string): Promise<void> => {
    report(`downloading the schema registry Apicurio ${registryVersion} (109 MB, once)`)
    const args = [`${dependencyPlugin}:unpack`, `-Dartifact=${artifact}`, `-DoutputDirectory=${dir}`]
    await runMaven(args, dir, `Apicurio ${registryVersion}`, signal)
    await rm(join(dir, '${project.basedir}'), { recursive: true, force: true }) // the plugin's marker files
  }
  const dir = await cached(`apicurio-${registryVersion}`, fill, report, signal)
  const jar = (await readdir(dir)).find((name) => name.endsWith('-runner.jar'))
  if (jar === undefined)
    throw new MillraceError('STACK_UNAVAILABLE', `No *-runner.jar in ${dir}; delete that folder.`)
  return join(dir, jar)
}

async function registryAnswers(url: string, signal: AbortSignal): Promise<void> {
  const response = await fetch(`${url}/subjects`, { signal })
  if (!response.ok) throw new Error(`HTTP ${response.status}`)
  await response.arrayBuffer()
}
