import { copyFile, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { prepareRedis } from '../../../src/stack/redis-server.ts'
import { startWatched, type ServerLaunch, type WatchedServer } from '../../../src/stack/watched-process.ts'
import { systemClock } from '../../../src/time/system-clock.ts'
import { until } from '../until.ts'

export type RedisReply = string | number | null | readonly RedisReply[]

export interface NodeOptions {
  readonly dir: string
  readonly port: number
  /** As redis-server takes them. */
  readonly args?: readonly string[]
  /** Of the default user; '': none is asked for. */
  readonly password?: string
}

/** One Redis process on a fixed port, to be broken. It ends with this process at the latest. */
export class RedisNode {
  readonly port: number
  readonly dir: string
  readonly #password: string
  readonly #launch: ServerLaunch
  #server: WatchedServer

  private constructor(
    { port, dir, password = '' }: NodeOptions,
    launch: ServerLaunch,
    server: WatchedServer,
  ) {
    this.port = port
    this.dir = dir
    this.#password = password
    this.#launch = launch
    this.#server = server
  }

  static async start(options: NodeOptions): Promise<RedisNode> {
    const { dir, port, password = '', args = [] } = options
    await mkdir(dir, { recursive: true })
    const secrets = password === '' ? [] : ['--requirepass', password, '--masterauth', password]
    const { launch } = await prepareRedis({ dir, port, args: [...args, ...secrets], temporary: true })
    return RedisNode.#launched(options, launch)
  }

  /** A sentinel: a Redis that gets its whole configuration, and rewrites it. */
  static async startSentinel(options: NodeOptions, configFile: string): Promise<RedisNode> {
    const prepared = await prepareRedis({ dir: options.dir, port: options.port, temporary: true })
    const launch = { ...prepared.launch, name: 'Sentinel', args: [configFile, '--sentinel'] }
    return RedisNode.#launched(options, launch)
  }

  static async #launched(options: NodeOptions, prepared: ServerLaunch): Promise<RedisNode> {
    const probe = (signal: AbortSignal): Promise<void> =>
      prepared.probe(signal).catch((error: unknown) => {
        if (!String(error).includes('NOAUTH')) throw error // it serves those who know the password
      })
    const launch = { ...prepared, probe }
    return new RedisNode(options, launch, await startWatched(launch))
  }

  get host(): string {
    return '127.0.0.1'
  }
  get address(): string {
    return `${this.host}:${this.port}`
  }
  get url(): string {
    return `redis://${this.address}`
  }
  get pid(): number {
    return this.#server.pid
  }

  /** One command over a connection of its own; a server that stands still lets it fail after 10 s. */
  async command(name: string, ...args: readonly (string | number)[]): Promise<RedisReply> {
    const redis = new Redis(this.port, this.host, {
      retryStrategy: () => null,
      commandTimeout: 10_000,
      enableReadyCheck: false,
      ...(this.#password === '' ? {} : { password: this.#password }),
    })
    redis.on('error', () => undefined) // the command fails with it
    try {
      return (await redis.call(name, ...args)) as RedisReply
    } finally {
      redis.disconnect()
    }
  }

  /** A field of INFO; '' when it has none. */
  async info(field: string): Promise<string> {
    return (await this.infos()).get(field) ?? ''
  }

  /** All fields of INFO as of one moment. */
  async infos(): Promise<ReadonlyMap<string, string>> {
    const lines = String(await this.command('INFO', 'ALL')).split('\r\n')
    return new Map(
      lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)] as const),
    )
  }

  /** Whether it may log in to a master, and so follow it. */
  async allowFollowing(allowed: boolean): Promise<void> {
    const [user, password] = allowed ? ['', this.#password] : ['nobody', 'wrong']
    await this.command('CONFIG', 'SET', 'masteruser', user, 'masterauth', password)
  }

  /** SIGSTOP: nothing is answered, connections stay. */
  stall(): void {
    process.kill(this.pid, 'SIGSTOP')
  }
  resume(): void {
    process.kill(this.pid, 'SIGCONT')
  }

  /** SIGKILL. */
  kill(): Promise<void> {
    return this.#server.kill()
  }

  /** Starts the killed server again, on its port and in its folder. */
  async restart(): Promise<void> {
    await this.#server.kill()
    this.#server = await startWatched(this.#launch)
  }

  async flushAll(): Promise<void> {
    await this.command('FLUSHALL')
  }

  /** Bounds the memory `bytes` above what is used now, so that writes are soon refused; null: no bound. */
  async limitMemory(bytes: number | null): Promise<void> {
    const limit = bytes === null ? 0 : Number(await this.info('used_memory')) + bytes
    await this.command('CONFIG', 'SET', 'maxmemory', limit)
  }

  /** A copy of the data on disk. */
  async save(): Promise<string> {
    await this.command('SAVE')
    const copy = join(this.dir, `saved-${systemClock.now()}.rdb`)
    await copyFile(join(this.dir, 'dump.rdb'), copy)
    return copy
  }

  /** The server crashes and comes back with an old copy. */
  async restore(copy: string): Promise<void> {
    await this.kill()
    await rm(join(this.dir, 'appendonlydir'), { recursive: true, force: true })
    await copyFile(copy, join(this.dir, 'dump.rdb'))
    await this.restart()
  }
}

/**
 * Keeps a replica from following its master, which goes on: what is written meanwhile is acknowledged, and lost with
 * the next failover.
 */
export async function holdReplication(master: RedisNode, replica: RedisNode): Promise<void> {
  await replica.allowFollowing(false)
  await master.command('CLIENT', 'KILL', 'TYPE', 'replica')
  await until('the replica has lost its master', async () => {
    return (await replica.info('master_link_status')) === 'down'
  })
}

/**
 * Waits until the replica has all that the master has acknowledged so far. Redis acknowledges first and replicates
 * afterwards, and a link that is up may still wait for its first byte: without this, any failover may lose writes.
 */
export async function replicated(master: RedisNode, replica: RedisNode): Promise<void> {
  const written = Number(await master.info('master_repl_offset'))
  await until(`${replica.address} has what ${master.address} has`, async () => {
    const [own, other] = [await replica.infos(), await master.infos()]
    // Offsets of two histories have nothing to do with each other.
    const isOneHistory = own.get('master_replid') === other.get('master_replid')
    const isFollowing = own.get('role') === 'slave' && own.get('master_link_status') === 'up'
    return isOneHistory && isFollowing && Number(own.get('slave_repl_offset')) >= written
  })
}

const startTriesMax = 3

/** Ports are found free, and may be taken before all servers have started: then everything starts once more. */
export async function startTogether<T>(
  start: (keep: (node: RedisNode) => RedisNode) => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    const started: RedisNode[] = []
    const keep = (node: RedisNode): RedisNode => {
      started.push(node)
      return node
    }
    try {
      return await start(keep)
    } catch (error) {
      await stopAll(started)
      if (tries === startTriesMax || !/in use|is taken/i.test(String(error))) throw error
    }
  }
}

export async function stopAll(nodes: readonly RedisNode[]): Promise<void> {
  await Promise.all(nodes.map((node) => node.kill())) // the data is temporary
}
