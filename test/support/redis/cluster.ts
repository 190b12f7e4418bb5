import { join } from 'node:path'
import { freePorts } from '../../../src/stack/ports.ts'
import { holdReplication, RedisNode, replicated, startTogether, stopAll } from './node.ts'
import { until } from '../until.ts'

export interface ClusterOptions {
  readonly dir: string
  /** A silent master is taken for dead after this. */
  readonly nodeTimeoutMs?: number
  readonly password?: string
}

interface ClusterView {
  readonly node: RedisNode
  readonly id: string
  readonly isMaster: boolean
  /** Of a replica. */
  readonly masterId: string
  readonly failed: boolean
}

/** First slot, last slot, host and port of the master, then those of replicas. */
type Shard = readonly [number, number, readonly [string, number]]

const slots = 16_384
const masters = 3

/** Three masters and a replica of each. */
export class ClusterServers {
  /** The first three were the masters at the start; roles change. */
  readonly nodes: readonly RedisNode[]
  readonly #password: string
  /** Replicas that must not follow. */
  readonly #held = new Set<RedisNode>()

  private constructor(nodes: readonly RedisNode[], password: string) {
    this.nodes = nodes
    this.#password = password
  }

  static start({ dir, nodeTimeoutMs = 2_000, password = '' }: ClusterOptions): Promise<ClusterServers> {
    return startTogether(async (keep) => {
      const ports = await freePorts(4 * masters)
      const nodes: RedisNode[] = []
      for (let i = 0; i < 2 * masters; i++) {
        const settings = {
          'cluster-enabled': 'yes',
          'cluster-port': ports[2 * masters + i],
          'cluster-node-timeout': nodeTimeoutMs,
          'cluster-replica-validity-factor': 0, // a replica is never too old to take over
          'repl-diskless-sync-delay': 0,
          'repl-ping-replica-period': 1,
        }
        const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)])
        nodes.push(
          keep(
            await RedisNode.start({ dir: join(dir, `redis-${i + 1}`), port: ports[i] ?? 0, args, password }),
          ),
        )
      }
      const cluster = new ClusterServers(nodes, password)
      await cluster.#form(ports.slice(2 * masters))
      return cluster
    })
  }

  /** As a topology writes it. */
  get url(): string {
    const user = this.#password === '' ? '' : `:${this.#password}@`
    return `redis+cluster://${user}${this.nodes.map(({ address }) => address).join(',')}`
  }

  /** The master that serves a slot. */
  async masterOf(slot: number): Promise<RedisNode> {
    const shards = (await this.#anyNode((node) => node.command('CLUSTER', 'SLOTS'))) as Shard[]
    const shard = shards.find(([from, to]) => slot >= from && slot <= to)
    const node = this.nodes.find(({ port }) => port === shard?.[2][1])
    if (node === undefined) throw new Error(`nobody serves slot ${slot}`)
    return node
  }

  async slotOf(key: string): Promise<number> {
    return Number(await this.#anyNode((node) => node.command('CLUSTER', 'KEYSLOT', key)))
  }

  async masters(): Promise<RedisNode[]> {
    return (await this.#view()).filter(({ isMaster, failed }) => isMaster && !failed).map(({ node }) => node)
  }

  async replicaOf(master: RedisNode): Promise<RedisNode> {
    const view = await this.#view()
    const id = view.find(({ node }) => node === master)?.id
    const replica = view.find(({ masterId, failed }) => masterId === id && !failed)?.node
    if (replica === undefined) throw new Error(`${master.address} has no replica`)
    return replica
  }

  /** What this master acknowledges from now on is lost with its next failover. */
  async holdReplication(master: RedisNode): Promise<void> {
    const replica = await this.replicaOf(master)
    await holdReplication(master, replica)
    this.#held.add(replica)
  }

  /** Waits until its replica has all that this master has acknowledged: a failover now loses nothing. */
  async replicated(master: RedisNode): Promise<void> {
    await replicated(master, await this.replicaOf(master))
  }

  /**
   * The master dies; resolves when its replica serves. Restart it later to have a replica again. What was acknowledged
   * before the call is lost only when replication is held.
   */
  async crashMaster(master: RedisNode): Promise<void> {
    const replica = await this.replicaOf(master)
    if (!this.#held.has(replica)) await replicated(master, replica)
    await master.kill()
    await this.#promoted(replica)
  }

  /**
   * The replica takes over from a living master, without waiting for what is acknowledged from now on; for what was before,
   * unless replication is held.
   */
  async switchMaster(master: RedisNode): Promise<void> {
    const replica = await this.replicaOf(master)
    if (!this.#held.has(replica)) await replicated(master, replica)
    await until('the replica takes over', async () => {
      await replica.command('CLUSTER', 'FAILOVER', 'TAKEOVER')
      return true
    })
    await this.#promoted(replica)
  }

  /** Waits until every node sees the whole cluster served, and every replica follows. */
  async healthy(): Promise<void> {
    for (const node of this.nodes) {
      await until('the cluster serves every slot', async () => {
        const info = String(await node.command('CLUSTER', 'INFO'))
        if (!info.includes('cluster_state:ok') || !info.includes(`cluster_slots_ok:${slots}`)) return false
        const view = await this.#viewOf(node)
        const living = view.filter(({ failed }) => !failed)
        return (
          living.length === this.nodes.length && living.filter(({ isMaster }) => isMaster).length === masters
        )
      })
      await until('every replica follows', async () => {
        return (await node.info('role')) === 'master' || (await node.info('master_link_status')) === 'up'
      })
    }
  }

  /**
   * Moves a slot to another master, key by key. `between` runs when half of the keys have moved: until it ends, commands
   * on several keys are answered TRYAGAIN or ASK.
   */
  async moveSlot(
    slot: number,
    target: RedisNode,
    between: () => Promise<void> = async () => {},
  ): Promise<void> {
    const source = await this.masterOf(slot)
    const view = await this.#view()
    const idOf = (node: RedisNode): string => view.find((one) => one.node === node)?.id ?? ''
    await target.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', idOf(source))
    await source.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', idOf(target))
    const half = Math.ceil(Number(await source.command('CLUSTER', 'COUNTKEYSINSLOT', slot)) / 2)
    await this.#migrate(source, target, slot, half)
    await between()
    await this.#migrate(source, target, slot, Infinity)
    for (const node of [target, source, ...(await this.masters())]) {
      await node.command('CLUSTER', 'SETSLOT', slot, 'NODE', idOf(target))
    }
  }

  stop(): Promise<void> {
    return stopAll(this.nodes)
  }

  async #migrate(source: RedisNode, target: RedisNode, slot: number, keysMax: number): Promise<void> {
    for (let moved = 0; moved < keysMax;) {
      const count = Math.min(100, keysMax - moved)
      const keys = (await source.command('CLUSTER', 'GETKEYSINSLOT', slot, count)) as string[]
      if (keys.length === 0) return
      const secret = this.#password === '' ? [] : ['AUTH', this.#password]
      await source.command('MIGRATE', target.host, target.port, '', 0, 10_000, ...secret, 'KEYS', ...keys)
      moved += keys.length
    }
  }

  async #promoted(replica: RedisNode): Promise<void> {
    await until('the replica is the master', async () => (await replica.info('role')) === 'master')
    await replica.allowFollowing(true)
    this.#held.delete(replica)
    await until('every living node knows the new master, and serves', async () => {
      for (const node of this.nodes) {
        const shards = (await node.command('CLUSTER', 'SLOTS').catch(() => null)) as Shard[] | null
        if (shards === null) continue // the dead one
        if (!shards.some(([, , [, port]]) => port === replica.port)) return false
        if (!String(await node.command('CLUSTER', 'INFO')).includes('cluster_state:ok')) return false
      }
      return true
    })
  }

  async #form(busPorts: readonly number[]): Promise<void> {
    const [first] = this.nodes as [RedisNode]
    for (const [index, node] of this.nodes.entries()) {
      await node.command('CLUSTER', 'SET-CONFIG-EPOCH', index + 1)
      if (index > 0) await first.command('CLUSTER', 'MEET', node.host, node.port, busPorts[index] ?? 0)
    }
    for (let i = 0; i < masters; i++) {
      const from = Math.floor((slots * i) / masters)
      const to = Math.floor((slots * (i + 1)) / masters) - 1
      await this.nodes[i]?.command('CLUSTER', 'ADDSLOTSRANGE', from, to)
    }
    for (const node of this.nodes) {
      await until('the nodes know each other', async () => {
        return String(await node.command('CLUSTER', 'INFO')).includes(`cluster_known_nodes:${2 * masters}`)
      })
    }
    for (let i = 0; i < masters; i++) {
      const id = String(await this.nodes[i]?.command('CLUSTER', 'MYID'))
      await this.nodes[masters + i]?.command('CLUSTER', 'REPLICATE', id)
    }
    await this.healthy()
  }

  #view(): Promise<ClusterView[]> {
    return this.#anyNode((node) => this.#viewOf(node))
  }

  async #viewOf(asked: RedisNode): Promise<ClusterView[]> {
    const text = String(await asked.command('CLUSTER', 'NODES'))
    return text
      .trim()
      .split('\n')
      .flatMap((line): ClusterView[] => {
        const [id = '', address = '', flags = '', masterId = ''] = line.split(' ')
        const node = this.nodes.find(({ port }) => address.startsWith(`127.0.0.1:${port}@`))
        if (node === undefined) return []
        return [
          { node, id, isMaster: flags.includes('master'), masterId, failed: /fail(?!\?)|noaddr/.test(flags) },
        ]
      })
  }

  /** Asks one node after another. */
  async #anyNode<T>(ask: (node: RedisNode) => Promise<T>): Promise<T> {
    let failure: unknown = null
    for (const node of this.nodes) {
      try {
        return await ask(node)
      } catch (error) {
        failure = error
      }
    }
    throw new Error('no node of the cluster answers', { cause: failure })
  }
}
