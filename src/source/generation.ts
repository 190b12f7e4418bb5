import type { GroupControl } from '../kafka/internals.ts'
import type { InputPartition } from '../record/input.ts'
import type { Clock } from '../time/clock.ts'
import { HeartbeatWaits } from './heartbeat-waits.ts'
import { PartitionStream } from './partition-stream.ts'
import type { StreamLimits, StreamLog } from './partition-stream.ts'

export interface GenerationParts {
  readonly number: number
  readonly group: GroupControl
  readonly inputs: readonly InputPartition[]
  readonly limits: StreamLimits
  readonly log: StreamLog
  readonly clock: Clock
}

/**
 * What this process owns between two rebalances.
 *
 *     serving ──► revoking ──► ended
 *        └───────────────────────▲
 */
export class Generation {
  readonly number: number
  readonly group: GroupControl
  readonly streams: readonly PartitionStream[]
  readonly heartbeats = new HeartbeatWaits()
  /** Set once revoking has begun; settles when the generation has ended. */
  revocation: Promise<void> | null = null
  readonly #ended = new AbortController()
  readonly #byPartition = new Map<string, PartitionStream>()

  constructor({ number, group, inputs, limits, log, clock }: GenerationParts) {
    this.number = number
    this.group = group
    this.streams = inputs.map(
      (input) =>
        new PartitionStream({
          input,
          group,
          limits,
          ended: this.#ended.signal,
          heartbeats: this.heartbeats,
          log,
          clock,
        }),
    )
    for (const stream of this.streams) {
      this.#byPartition.set(keyOf(stream.input.topic, stream.input.partition), stream)
    }
  }

  /** Aborted when it is over. */
  get ended(): AbortSignal {
    return this.#ended.signal
  }

  get isOver(): boolean {
    return this.#ended.signal.aborted
  }

  stream(topic: string, partition: number): PartitionStream | undefined {
    return this.#byPartition.get(keyOf(topic, partition))
  }

  /** Idempotent. */
  end(): void {
    if (this.isOver) return
    const reason = new DOMException(`assignment ${this.number} of this process ended`, 'AbortError')
    this.heartbeats.end(reason)
    this.#ended.abort(reason)
  }
}

function keyOf(topic: string, partition: number): string {
  return `${topic}:${partition}`
}
