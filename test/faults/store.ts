import { join } from 'node:path'
import { Redis } from 'ioredis'
import { featureScripts } from '../../src/features/redis-store.ts'
import type { StoredState } from '../support/judge-state.ts'
import { ClusterServers } from '../support/redis/cluster.ts'
import type { RedisNode } from '../support/redis/node.ts'
import { SentinelServers } from '../support/redis/sentinel.ts'
import { startStandalone } from '../support/redis/standalone.ts'
import { readState, readWatermarks } from './redis-state.ts'
import type { StackKind } from './scenario.ts'
import { openRedisWire, type Wire } from './wire/proxy.ts'

/** The Redis of one scenario, started for it. */
export interface Store {
  /** As a topology writes it, without a wire. */
  readonly url: string
  /** The one that there is; the others are null. */
  readonly node: RedisNode | null
  readonly sentinel: SentinelServers | null
  readonly cluster: ClusterServers | null
  /** Those who take writes now. */
  masters(): Promise<readonly RedisNode[]>
  /** Everything under a namespace. */
  state(namespace: string): Promise<StoredState>
  /** Watermark texts by input; the smallest offset of all buckets is not told apart. */
  watermarks(namespace: string): Promise<readonly (readonly [string, string])[]>
  /** A wire for one process, when there is one server; the address to write into its topology. */
  wire(seed: number): Promise<{ readonly url: string; readonly wires: readonly Wire[] }>
  close(): Promise<void>
}

export async function openStore(kind: StackKind['redis'], dir: string): Promise<Store> {
  const folder = join(dir, 'redis')
  switch (kind) {
    case 'standalone':
      return standaloneStore(await startStandalone({ dir: folder, args: ['--enable-debug-command', 'yes'] }))
    case 'sentinel': {
      const sentinel = await SentinelServers.start({ dir: folder })
      const masters = async (): Promise<RedisNode[]> => [await sentinel.master()]
      return { ...none, url: sentinel.url, sentinel, masters, ...common(masters, sentinel) }
    }
    case 'cluster': {
      const cluster = await ClusterServers.start({ dir: folder })
      const masters = (): Promise<RedisNode[]> => cluster.masters()
      return { ...none, url: cluster.url, cluster, masters, ...common(masters, cluster) }
    }
  }
}

function standaloneStore(node: RedisNode): Store {
  const masters = async (): Promise<RedisNode[]> => [node]
  return {
    ...none,
    url: node.url,
    node,
    masters,
    ...common(masters, { stop: () => node.kill(), url: node.url }),
    wire: async (seed) => {
      const wire = await openRedisWire(node.port, { seed, scripts: featureScripts })
      return { url: `redis://127.0.0.1:${wire.port}`, wires: [wire] }
    },
  }
}

function common(
  masters: () => Promise<readonly RedisNode[]>,
  servers: { stop(): Promise<void>; readonly url: string },
): Pick<Store, 'state' | 'watermarks' | 'wire' | 'close'> {
  const asked = async <T>(question: (clients: Redis[]) => Promise<T>): Promise<T> => {
    const clients = (await masters()).map(
      ({ port, host }) => new Redis(port, host, { retryStrategy: () => null, commandTimeout: 10_000 }),
    )
    for (const client of clients) client.on('error', () => undefined) // the command fails with it
    try {
      return await question(clients)
    } finally {
      for (const client of clients) client.disconnect()
    }
  }
  return {
    state: (namespace) => asked((clients) => readState(clients, namespace)),
    watermarks: (namespace) => asked((clients) => readWatermarks(clients, namespace)),
    // Clients of Sentinel and Cluster are told the servers' own addresses.
    wire: async () => ({ url: servers.url, wires: [] }),
    close: () => servers.stop(),
  }
}

const none = { node: null, sentinel: null, cluster: null }
