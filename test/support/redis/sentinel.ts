import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePorts } from '../../../src/stack/ports.ts'
import { holdReplication, RedisNode, replicated, startTogether, stopAll } from './node.ts'
import { until } from '../until.ts'

export interface SentinelOptions {
  readonly dir: string
  /** Default 3, with a quorum of 2; 1 has a quorum of 1. */
  readonly sentinels?: number
  /** A silent master is taken for dead after this. */
  readonly downAfterMs?: number
  /** Of servers and sentinels. */
  readonly password?: string
}

const masterName = 'mymaster'
/** Of the sentinels: how often they tell each other what they know, and ask servers for their roles. */
const publishPeriodMs = 500
const infoPeriodMs = 500

/** A master, a replica and sentinels that fail over between the two. */
export class SentinelServers {
  /** The master of the start and its replica; roles change. */
  readonly nodes: readonly RedisNode[]
  readonly sentinels: readonly RedisNode[]

  readonly #password: string
  #isHeld = false

  private constructor(nodes: readonly RedisNode[], sentinels: readonly RedisNode[], password: string) {
    this.nodes = nodes
    this.sentinels = sentinels
    this.#password = password
  }

  static start({
    dir,
    sentinels = 3,
    downAfterMs = 1_000,
    password = '',
  }: SentinelOptions): Promise<SentinelServers> {
    return startTogether(async (keep) => {
      const [first = 0, second = 0, ...ports] = await freePorts(2 + sentinels)
      const args = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1']
      const master = keep(await RedisNode.start({ dir: join(dir, 'redis-1'), port: first, args, password }))
      const following = [...args, '--replicaof', master.host, String(first)]
      const replica = keep(
        await RedisNode.start({ dir: join(dir, 'redis-2'), port: second, args: following, password }),
      )
      const quorum = Math.floor(sentinels / 2) + 1
      const started: RedisNode[] = []
      for (const [index, port] of ports.entries()) {
        const options = { dir: join(dir, `sentinel-${index + 1}`), port, password }
        const lines = [
          `sentinel monitor ${masterName} ${master.host} ${master.port} ${quorum}`,
          `sentinel down-after-milliseconds ${masterName} ${downAfterMs}`,
          `sentinel failover-timeout ${masterName} 5000`,
          ...(password === ''
            ? []
            : [`sentinel auth-pass ${masterName} ${password}`, `requirepass ${password}`]),
        ]
        started.push(keep(await RedisNode.startSentinel(options, await writeConfig(options, lines))))
      }
      const servers = new SentinelServers([master, replica], started, password)
      await servers.#formed()
      await servers.#hurry()
      return servers
    })
  }

  /** As a topology writes it. */
  get url(): string {
    const secret = this.#password
    const [user, query] = secret === '' ? ['', ''] : [`:${secret}@`, `?sentinel_password=${secret}`]
    return `redis+sentinel://${user}${this.sentinels.map(({ address }) => address).join(',')}/${masterName}${query}`
  }

  /** Who is the master, if one asks the sentinels. */
  async master(): Promise<RedisNode> {
    const [, port] = (await this.#sentinel().command(
      'SENTINEL',
      'GET-MASTER-ADDR-BY-NAME',
      masterName,
    )) as string[]
    const node = this.nodes.find((one) => one.port === Number(port))
    if (node === undefined) throw new Error(`the master listens on ${port}, which is none of the servers`)
    return node
  }
  async replica(): Promise<RedisNode> {
    const master = await this.master()
    return this.nodes.find((one) => one !== master) as RedisNode
  }

  /** What the master acknowledges from now on is lost with the next failover. */
  async holdReplication(): Promise<void> {
    await holdReplication(await this.master(), await this.replica())
    this.#isHeld = true
  }

  /** Waits until the replica has all that is acknowledged: a failover now loses nothing. */
  async replicated(): Promise<void> {
    await replicated(await this.master(), await this.replica())
  }

  /**
   * The master dies; resolves when the replica has taken its place. Returns the dead one, to be restarted. What was
   * acknowledged before the call is lost only when replication is held.
   */
  async crashMaster(): Promise<RedisNode> {
    const master = await this.master()
    if (!this.#isHeld) await this.replicated()
    await master.kill()
    await this.#promoted(master)
    return master
  }

  /** Starts a dead server again, as a replica. Left to itself it is a master for ten seconds, until a sentinel turns it. */
  async rejoin(dead: RedisNode): Promise<void> {
    const { host, port } = await this.master()
    await dead.restart()
    await dead.command('REPLICAOF', host, port)
    await this.following()
  }

  /**
   * The sentinels change the master although it lives: some seconds later they make it a replica. Until then it takes the
   * writes of whoever has not noticed, and forgets them. What was acknowledged before the call is lost only when
   * replication is held.
   */
  async switchMaster(): Promise<void> {
    const master = await this.master()
    if (!this.#isHeld) await this.replicated()
    await until('the sentinels have changed the master', async () => {
      if ((await this.master()) !== master) return true
      // Refused while one is under way; one that timed out is asked for again.
      await this.#sentinel()
        .command('SENTINEL', 'FAILOVER', masterName)
        .catch(() => undefined)
      return false
    })
    await this.#promoted(master)
  }

  /** Waits until the other server follows the master, as after a restart. */
  async following(): Promise<void> {
    await until('the replica follows', async () => {
      const replica = await this.replica()
      return (await replica.info('role')) === 'slave' && (await replica.info('master_link_status')) === 'up'
    })
  }

  stop(): Promise<void> {
    return stopAll([...this.sentinels, ...this.nodes])
  }

  #sentinel(): RedisNode {
    return this.sentinels[0] as RedisNode
  }

  async #promoted(before: RedisNode): Promise<void> {
    await until('another server is the master', async () => {
      const master = await this.master()
      return master !== before && (await master.info('role')) === 'master'
    })
    await (await this.master()).allowFollowing(true)
    this.#isHeld = false
  }

  /** Otherwise a master that was replaced stays one for eight seconds more. Redis before 7 does not know the command. */
  async #hurry(): Promise<void> {
    const periods = ['PUBLISH-PERIOD', publishPeriodMs, 'INFO-PERIOD', infoPeriodMs] as const
    for (const sentinel of this.sentinels)
      await sentinel.command('SENTINEL', 'DEBUG', ...periods).catch(() => undefined)
  }

  async #formed(): Promise<void> {
    await this.following()
    for (const sentinel of this.sentinels) {
      await until('the sentinels know each other', async () => {
        const state = (await sentinel.command('SENTINEL', 'MASTER', masterName)) as string[]
        const value = (name: string): number => Number(state[state.indexOf(name) + 1])
        return value('num-other-sentinels') === this.sentinels.length - 1 && value('num-slaves') === 1
      })
    }
  }
}

async function writeConfig(
  { dir, port }: { readonly dir: string; readonly port: number },
  lines: readonly string[],
): Promise<string> {
  await mkdir(dir, { recursive: true })
  const file = join(dir, 'sentinel.conf')
  await writeFile(file, ['bind 127.0.0.1', `port ${port}`, `dir ${dir}`, ...lines, ''].join('\n'))
  return file
}
