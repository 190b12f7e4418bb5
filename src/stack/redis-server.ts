import { execFile } from 'node:child_process'
import { chmod, mkdir, readdir, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { MillraceError } from '../errors.ts'
import { cached, type Report } from './cache.ts'
import { dependencyPlugin, runMaven } from './java.ts'
import { assertPortFree, freePorts } from './ports.ts'
import { type ServerLaunch, startOnFreePort, type WatchedServer } from './watched-process.ts'

export interface RedisOptions {
  /** Working folder and log. */
  readonly dir: string
  /** Free when left out. */
  readonly port?: number
  /** Extra arguments of redis-server; the last of two wins. */
  readonly args?: readonly string[]
  /** Keep data over a restart (append-only file in `dir`). Default: nothing is written to disk. */
  readonly persistent?: boolean
  /** Remove `dir` when this process dies without stopping the server. */
  readonly temporary?: boolean
  readonly report?: Report
  readonly signal?: AbortSignal
}

export interface RedisServer extends WatchedServer {
  readonly url: string
  readonly port: number
}

/** A Redis that ends with this process. */
export async function startRedis(options: RedisOptions): Promise<RedisServer> {
  const { server, url, port } = await startOnFreePort(() => prepareRedis(options), options.signal)
  return { ...server, url, port }
}

/** Finds or downloads the binary; what is left is to run the command. */
export async function prepareRedis(
  options: RedisOptions,
): Promise<{ launch: ServerLaunch; url: string; port: number }> {
  const binary =
    (await redisOnPath()) ?? (await downloadedRedis(options.report ?? (() => {}), options.signal))
  if (options.port !== undefined) await assertPortFree(options.port, 'Redis')
  const port = options.port ?? (await freePorts(1))[0] ?? 0
  await mkdir(options.dir, { recursive: true })
  const settings = ['--bind', '127.0.0.1', '--port', String(port), '--dir', options.dir]
  const durability = ['--save', '', '--appendonly', options.persistent ? 'yes' : 'no']
  const launch: ServerLaunch = {
    name: 'Redis',
    command: binary,
    args: [...settings, ...durability, '--maxmemory-policy', 'noeviction', ...(options.args ?? [])],
    logFile: join(options.dir, 'redis.log'),
    probe: (signal) => redisAnswers(port, signal),
    ...(options.temporary ? { removeAfterCrash: options.dir } : {}),
  }
  return { launch, url: `redis://127.0.0.1:${port}`, port }
}

/** The command to run, or null. */
export async function redisOnPath(): Promise<string | null> {
  try {
    await promisify(execFile)('redis-server', ['--version'])
    return 'redis-server'
  } catch {
    return null
  }
}

const artifact = 'org.signal:embedded-redis:0.9.0' // the jar holds redis-server-7.0.15-<system>-<cpu> in its root
export const redisVersion = '7.0.15'

async function downloadedRedis(report: Report, signal?: AbortSignal): Promise<string> {
  const binary = embeddedBinary(process.platform, process.arch)
  if (binary === null) {
    const message =
      `No redis-server on PATH, and none to download for ${process.platform} ${process.arch}. ` +
      `Install Redis 7, or set MILLRACE_REDIS=redis://host:port.`
    throw new MillraceError('STACK_UNAVAILABLE', message)
  }
  const fill = async (dir: string): Promise<void> => {
    report(`downloading Redis ${redisVersion} (11 MB, once)`)
    const args = [`${dependencyPlugin}:unpack`, `-Dartifact=${artifact}`, `-DoutputDirectory=${dir}`]
    await runMaven([...args, `-Dmdep.unpack.includes=${binary}`], dir, `Redis ${redisVersion}`, signal)
    const names = await readdir(dir)
    if (!names.includes(binary)) {
      throw new MillraceError(
        'STACK_UNAVAILABLE',
        `${artifact} holds no ${binary}, only ${names.join(', ')}.`,
      )
    }
    await chmod(join(dir, binary), 0o755)
    await rm(join(dir, '${project.basedir}'), { recursive: true, force: true }) // the plugin's marker files
  }
  return join(await cached(`redis-${redisVersion}`, fill, report, signal), binary)
}

/** The name of the file inside the artifact; null for systems it has none for. */
export function embeddedBinary(platform: string, arch: string): string | null {
  const cpu = new Map([
    ['x64', 'amd64'],
    ['arm64', 'arm64'],
  ]).get(arch)
  const isKnown = (platform === 'linux' || platform === 'darwin') && cpu !== undefined
  return isKnown ? `redis-server-${redisVersion}-${platform}-${cpu}` : null
}

/** Rejects unless a Redis on this machine serves. */
export function redisAnswers(port: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, signal })
    socket.once('connect', () => socket.write('PING\r\n'))
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('Redis closed the connection')))
    socket.once('data', (answer: Buffer) => {
      socket.destroy()
      if (answer.toString().startsWith('+PONG')) resolve()
      else reject(new Error(`Redis answers ${answer.toString().trim()}`)) // for example -LOADING
    })
  })
}
