import type { CommittedPosition } from '../commit/transaction.ts'
import type { KafkaAdmin } from '../kafka/admin.ts'
import { textOf } from '../kafka/errors.ts'
import type { PositionFeed } from '../pipeline/warm-task.ts'
import type { InputPartition } from '../record/input.ts'
import type { Log } from '../telemetry/log.ts'
import type { Clock } from '../time/clock.ts'

const pollIntervalMs = 500

export interface PositionPollOptions {
  readonly admin: Pick<KafkaAdmin, 'groupOffsets'>
  readonly group: string
  readonly topics: readonly string[]
  readonly clock: Clock
  readonly log: Log
}

/** What a group commits, asked for twice a second by somebody who is no member of it: one request per topic. */
export class PositionPoll implements PositionFeed {
  readonly #options: PositionPollOptions
  readonly #positions = new Map<string, ReadonlyMap<number, CommittedPosition>>()
  readonly #waiting = new Set<() => void>()

  constructor(options: PositionPollOptions) {
    this.#options = options
  }

  /** Polls until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { admin, group, topics, clock, log } = this.#options
    while (!signal.aborted) {
      for (const topic of topics) {
        try {
          this.#positions.set(topic, await admin.groupOffsets(group, topic))
        } catch (error) {
          log.debug({ topic, error: textOf(error) }, 'could not read the positions of the group')
        }
      }
      for (const wake of this.#waiting) wake()
      await clock.sleep(pollIntervalMs, signal).catch(() => undefined) // aborted
    }
  }

  async after(
    { topic, partition }: InputPartition,
    known: CommittedPosition | null | undefined,
    signal: AbortSignal,
  ): Promise<CommittedPosition | null> {
    for (;;) {
      signal.throwIfAborted()
      const positions = this.#positions.get(topic)
      if (positions !== undefined) {
        const position = positions.get(partition) ?? null
        if (known === undefined || !isSame(known, position)) return position
      }
      await this.#poll(signal)
    }
  }

  #poll(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        this.#waiting.delete(wake)
        signal.removeEventListener('abort', onAbort)
      }
      const wake = (): void => {
        end()
        resolve()
      }
      const onAbort = (): void => {
        end()
        reject(signal.reason)
      }
      this.#waiting.add(wake)
      signal.addEventListener('abort', onAbort, { once: true })
    })
  }
}

function isSame(a: CommittedPosition | null, b: CommittedPosition | null): boolean {
  return a?.offset === b?.offset && a?.metadata === b?.metadata
}
