import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Admin } from 'kafkajs'
import { Kafka, logLevel } from '../../../src/kafka/kafkajs.ts'
import type { KafkaOptions } from '../../../src/stack/kafka-server.ts'
import { testBrokerSettings } from '../../support/test-servers.ts'
import { openKafkaWire, type Wire } from '../wire/proxy.ts'
import { KafkaNode, until } from './kafka-node.ts'
import { clusterState, coordinator, electPreferred, type ClusterState } from './kafka-questions.ts'
import { stablePorts } from './stable-ports.ts'

export { KafkaNode } from './kafka-node.ts'
export type { ClusterState, PartitionState } from './kafka-questions.ts'

export interface KafkaClusterOptions {
  /** Data and logs, in a folder per node; a temporary folder when left out. Removed when the cluster closes. */
  readonly dir?: string
  /** Three nodes replicate everything three times and acknowledge with two. */
  readonly nodes: 1 | 3
  /** Service processes, each with wires and an advertised listener of its own. */
  readonly clients: number
  /** Without proxies all clients share the brokers' plain listener. */
  readonly proxied?: boolean
  readonly config?: Readonly<Record<string, string | number | boolean>>
  /** Of the wires. */
  readonly seed?: number
}

/** KRaft brokers on 127.0.0.1 that end with this process. Nodes count from 1, clients from 0. */
export class KafkaCluster implements AsyncDisposable {
  readonly nodes: readonly KafkaNode[]
  readonly #wires: readonly (readonly Wire[])[]
  readonly #remove: string
  #admin: Admin | null = null

  constructor(nodes: readonly KafkaNode[], wires: readonly (readonly Wire[])[], remove: string) {
    this.nodes = nodes
    this.#wires = wires
    this.#remove = remove
  }

  /** host:port of all nodes: through a client's wires, or direct without one. */
  bootstrap(client?: number): string[] {
    const ports = client === undefined || this.#wires.length === 0 ? this.nodes : this.wires(client)
    return ports.map(({ port }) => `127.0.0.1:${port}`)
  }

  node(id: number): KafkaNode {
    return found(this.nodes[id - 1], `node ${id}`)
  }

  wire(client: number, node: number): Wire {
    return found(this.wires(client)[node - 1], `wire to node ${node}`)
  }

  /** From one client to each node. */
  wires(client: number): readonly Wire[] {
    return found(this.#wires[client], `wires of client ${client}`)
  }

  /** The cluster as its first running node sees it. */
  async state(): Promise<ClusterState> {
    return this.#ask(clusterState)
  }

  /** Waits until there is one that is not down; the cluster misses a killed node only after its session. */
  async leaderOf(topic: string, partition: number): Promise<KafkaNode> {
    return this.#untilNode(`${topic}/${partition} has a leader`, async () => {
      const { partitions } = await this.state()
      return (
        partitions.find((other) => other.topic === topic && other.partition === partition)?.leader ?? null
      )
    })
  }

  /** Of a group; waits as leaderOf does. */
  coordinatorOf(group: string): Promise<KafkaNode> {
    return this.#untilNode(`group ${group} has a coordinator`, () =>
      this.#ask((port) => coordinator(port, 'group', group)),
    )
  }

  /** Of a transactional id; waits as leaderOf does. */
  transactionCoordinatorOf(transactionalId: string): Promise<KafkaNode> {
    return this.#untilNode(`${transactionalId} has a coordinator`, () =>
      this.#ask((port) => coordinator(port, 'transaction', transactionalId)),
    )
  }

  /** Makes a node the leader of a partition that it has a replica of. */
  async moveLeader(topic: string, partition: number, node: number): Promise<void> {
    const { partitions } = await this.state()
    const replicas = partitions.find((one) => one.topic === topic && one.partition === partition)?.replicas
    if (!replicas?.includes(node)) throw new Error(`Node ${node} has no replica of ${topic}/${partition}.`)
    const inOrder = [node, ...replicas.filter((other) => other !== node)]
    const admin = await this.#openAdmin()
    await admin.alterPartitionReassignments({
      topics: [{ topic, partitionAssignment: [{ partition, replicas: inOrder }] }],
    })
    await until(`node ${node} leads ${topic}/${partition}`, async () => {
      await this.#ask((port) => electPreferred(port, topic, partition))
      return (await this.leaderOf(topic, partition)).id === node
    })
  }

  /** Waits until all nodes live and every partition has all its replicas in sync. */
  async untilHealthy(): Promise<void> {
    await until('all replicas are in sync', async () => {
      const { nodes, partitions } = await this.state()
      return (
        nodes.length === this.nodes.length &&
        partitions.every((one) => one.leader !== null && one.inSync.length === one.replicas.length)
      )
    })
  }

  /** Kills all nodes and removes their data. */
  async close(): Promise<void> {
    await this.#admin?.disconnect().catch(() => {})
    await Promise.all(this.nodes.map((node) => node.kill()))
    await Promise.all(this.#wires.flat().map((wire) => wire.close()))
    await rm(this.#remove, { recursive: true, force: true })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #ask<T>(question: (port: number) => Promise<T>): Promise<T> {
    for (const { state, port } of this.nodes) {
      if (state === 'running') return question(port)
    }
    throw new Error('No node is running.')
  }

  async #untilNode(what: string, look: () => Promise<number | null>): Promise<KafkaNode> {
    let id: number | null = null
    await until(what, async () => {
      id = await look()
      return id !== null && this.node(id).state !== 'down'
    })
    return this.node(id ?? 0)
  }

  async #openAdmin(): Promise<Admin> {
    if (this.#admin !== null) return this.#admin
    this.#admin = new Kafka({ brokers: this.bootstrap(), logLevel: logLevel.NOTHING }).admin()
    await this.#admin.connect()
    return this.#admin
  }
}

/** Takes about 5 s for one node and 10 s for three on two idle cores. */
export async function openKafkaCluster(options: KafkaClusterOptions): Promise<KafkaCluster> {
  const { nodes: count, clients, proxied = true, seed = 0 } = options
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'millrace-cluster-')))
  await mkdir(dir, { recursive: true })
  const listeners = proxied ? clients : 0
  const ids = Array.from({ length: count }, (_, index) => index + 1)
  const wires = await openWires(listeners, count, seed)
  const ports = await stablePorts(count * (2 + listeners))
  const places = ids.map((id): Place => {
    const [direct = 0, controller = 0, ...proxies] = ports.splice(0, 2 + listeners)
    const advertised = wires.map((ofClient) => ofClient[id - 1]?.port ?? 0)
    return { id, direct, controller, proxies, advertised }
  })
  const voters = places.map(({ id, controller }) => `${id}@127.0.0.1:${controller}`).join(',')
  const nodes = places.map((place) => {
    const config = { ...nodeConfig(place, voters), ...replication(count), ...options.config }
    const doors = wires.flatMap((ofClient, client) => {
      const [wire, port] = [ofClient[place.id - 1], place.proxies[client]]
      return wire && port ? [{ wire, port }] : []
    })
    return new KafkaNode(place.id, place.direct, nodeOptions(dir, place, config, count), doors)
  })
  const cluster = new KafkaCluster(nodes, wires, dir)
  try {
    const starts = nodes.map((node) => node.start())
    await Promise.allSettled(starts) // close() below does not find a node that is still starting
    await Promise.all(starts)
    // creates the topics of the coordinators, so that no client has to wait for that
    await Promise.all([cluster.coordinatorOf('any'), cluster.transactionCoordinatorOf('any')])
    await cluster.untilHealthy()
    return cluster
  } catch (error) {
    await cluster.close()
    throw error
  }
}

function nodeOptions(
  dir: string,
  { id, direct }: Place,
  config: KafkaOptions['config'] & object,
  nodes: number,
): KafkaOptions {
  const heapMb = nodes === 1 ? 384 : 256
  return { dir: join(dir, `kafka-${id}`), port: direct, heapMb, temporary: true, config }
}

async function openWires(clients: number, nodes: number, seed: number): Promise<Wire[][]> {
  const seedsPerWire = 1_000 // each rule takes one
  const open = (client: number, node: number): Promise<Wire> =>
    openKafkaWire(null, { seed: (seed * 100 + client * nodes + node) * seedsPerWire })
  return Promise.all(
    Array.from({ length: clients }, (_, client) =>
      Promise.all(Array.from({ length: nodes }, (_, node) => open(client, node))),
    ),
  )
}

/** Ports of one node. */
interface Place {
  readonly id: number
  readonly direct: number
  readonly controller: number
  /** What each client's wire leads to. */
  readonly proxies: readonly number[]
  /** The wires' own ports, which this node tells its clients. */
  readonly advertised: readonly number[]
}

function nodeConfig(place: Place, voters: string): Record<string, string | number | boolean> {
  const names = ['DIRECT', ...place.proxies.map((_, client) => `CLIENT${client}`)]
  const at = (name: string, port: number): string => `${name}://127.0.0.1:${port}`
  const clientListeners = (ports: readonly number[]): string[] =>
    ports.map((port, client) => at(`CLIENT${client}`, port))
  return {
    'node.id': place.id,
    'controller.quorum.voters': voters,
    listeners: [
      at('DIRECT', place.direct),
      ...clientListeners(place.proxies),
      at('CONTROLLER', place.controller),
    ].join(','),
    'advertised.listeners': [at('DIRECT', place.direct), ...clientListeners(place.advertised)].join(','),
    'listener.security.protocol.map': [...names, 'CONTROLLER'].map((name) => `${name}:PLAINTEXT`).join(','),
    'inter.broker.listener.name': 'DIRECT',
    'num.network.threads': 1, // per listener
    // leadership stays where a test put it
    'auto.leader.rebalance.enable': false,
    // transactions that timed out are looked for every 10 s otherwise
    'transaction.abort.timed.out.transaction.cleanup.interval.ms': 1_000,
    ...testBrokerSettings,
  }
}

function replication(nodes: number): Record<string, string | number | boolean> {
  const acknowledged = Math.min(2, nodes)
  return {
    'default.replication.factor': nodes,
    'min.insync.replicas': acknowledged,
    'offsets.topic.replication.factor': nodes,
    'transaction.state.log.replication.factor': nodes,
    'transaction.state.log.min.isr': acknowledged,
  }
}

function found<T>(item: T | undefined, what: string): T {
  if (item === undefined) throw new RangeError(`There is no ${what}.`)
  return item
}
