import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { StackKind } from './scenario.ts'
import type { Route } from './seat.ts'
import type { Store } from './store.ts'
import { openKafkaCluster, type KafkaCluster } from './servers/kafka-cluster.ts'

/** Service processes of a scenario at most: each has its own listener on every broker. */
export const seatsMax = 4

/** Brokers that several scenarios use one after another, with a wire to each for every seat. */
export class FaultStack {
  readonly kind: StackKind
  readonly kafka: KafkaCluster
  readonly dir: string
  readonly #seed: number

  private constructor(kind: StackKind, kafka: KafkaCluster, dir: string, seed: number) {
    this.kind = kind
    this.kafka = kafka
    this.dir = dir
    this.#seed = seed
  }

  static async open(kind: StackKind, seed: number): Promise<FaultStack> {
    const dir = await mkdtemp(join(tmpdir(), 'millrace-faults-'))
    const kafka = await openKafkaCluster({
      dir: join(dir, 'kafka'),
      nodes: kind.nodes,
      clients: seatsMax,
      seed,
    })
    return new FaultStack(kind, kafka, dir, seed)
  }

  /** For traffic and referee: no wire between. */
  get brokers(): string[] {
    return this.kafka.bootstrap()
  }

  /** The ways of seat `index` to the brokers and to a scenario's store. */
  async route(index: number, store: Store): Promise<Route> {
    const { url, wires } = await store.wire(this.#seed * 10 + index)
    const kafka = this.kafka.wires(index)
    return {
      change: { kafka: { brokers: this.kafka.bootstrap(index).join(',') }, store: { redis: url } },
      kafka,
      redis: wires,
      close: async () => {
        for (const wire of kafka) restore(wire)
        await Promise.all(wires.map((wire) => wire.close()))
      },
    }
  }

  async close(): Promise<void> {
    await this.kafka.close()
    await rm(this.dir, { recursive: true, force: true })
  }
}

function restore(wire: Route['kafka'][number]): void {
  wire.cut(null)
  wire.shape(null)
}
