import type { Claim, CommittedPosition, TransactionPort } from '../../src/commit/transaction.ts'
import { MillraceError } from '../../src/errors.ts'
import { both } from '../../src/kafka/wire/both.ts'
import { inputName, type InputPartition } from '../../src/record/input.ts'
import type { OutputRecord } from '../../src/record/output.ts'
import type { Host } from './host.ts'
import type { Kafka } from './kafka.ts'
import type { Wire } from './wire.ts'

export interface TransactionPortParts {
  readonly wire: Wire
  readonly host: Host
  readonly kafka: Kafka
  readonly violated: (what: string) => void
  /** Epochs of this process's producers, when they are kept after a clean abort (to test the checker). */
  readonly kept?: Map<string, number>
}

export function simulatedTransactions(parts: TransactionPortParts): TransactionPort {
  const { wire, host, kafka } = parts
  return {
    clusterId: () => Promise.resolve('simulated'),
    claim: async (input, signal) => {
      const name = inputName(input)
      const reused = parts.kept?.get(name)
      if (reused !== undefined && abortCleanly(kafka, name, reused)) {
        return new SimulatedClaim(parts, input, reused)
      }
      const epoch = await wire.call({
        host,
        what: `claim ${name}`,
        effect: () => kafka.claim(name),
        signal,
        unanswered: () => new MillraceError('KAFKA_UNREACHABLE', `claiming ${name}`),
      })
      wire.trace.add(wire.timeline.nowMs, host.name, 'claimed', name, 'epoch', epoch)
      parts.kept?.set(name, epoch)
      return new SimulatedClaim(parts, input, epoch)
    },
  }
}

/** False when the producer was fenced. */
function abortCleanly(kafka: Kafka, name: string, epoch: number): boolean {
  try {
    kafka.endTransaction(name, epoch, false)
    return true
  } catch {
    return kafka.epochOf(name) === epoch
  }
}

type State = 'ready' | 'running' | 'dead'

/**
 * A producer whose sends are separate requests: each of them can be lost, late, or answered to nobody. What takes part is
 * announced, outputs and position are sent, the end is told; two requests that are under way at the same time arrive in
 * any order.
 */
class SimulatedClaim implements Claim {
  readonly #parts: TransactionPortParts
  readonly #name: string
  readonly #epoch: number
  #state: State = 'ready'

  constructor(parts: TransactionPortParts, input: InputPartition, epoch: number) {
    this.#parts = parts
    this.#name = inputName(input)
    this.#epoch = epoch
  }

  committed(signal: AbortSignal): Promise<CommittedPosition | null> {
    const { wire, host, kafka } = this.#parts
    return wire.call({
      host,
      what: `committed ${this.#name}`,
      effect: () => kafka.committed(this.#name),
      signal,
      unanswered: () => new MillraceError('KAFKA_UNREACHABLE', `reading the position of ${this.#name}`),
    })
  }

  async run(outputs: readonly OutputRecord[], position: CommittedPosition): Promise<void> {
    const { kafka, violated } = this.#parts
    if (this.#state !== 'ready') {
      violated(`R6: the producer of ${this.#name} is used while ${this.#state}`)
    }
    this.#state = 'running'
    const name = this.#name
    const epoch = this.#epoch
    try {
      const { wire, host } = this.#parts
      const half = wire.timeline.dice(`${host.name} halves`).below(outputs.length + 1)
      const parts = [outputs.slice(0, half), outputs.slice(half)].filter((sent) => sent.length > 0)
      const announce = (what: string) => () => this.#step(what, position, () => kafka.begin(name, epoch))
      const produce = async (): Promise<void> => {
        for (const sent of parts) {
          await this.#step('produce', position, () => kafka.produce(name, epoch, sent))
        }
      }
      const commitOffset = () => this.#step('offset', position, () => kafka.addOffset(name, epoch, position))
      const stop = new AbortController()
      if (parts.length > 0) await both(announce('add partitions'), announce('add offsets'), stop)
      else await announce('add offsets')()
      await both(produce, commitOffset, stop)
      await this.#step('end', position, () => kafka.endTransaction(name, epoch, true))
      this.#state = 'ready'
    } catch (error) {
      this.#state = 'dead'
      this.#abortUnwatched()
      throw error
    }
  }

  close(): Promise<void> {
    this.#state = 'dead'
    return Promise.resolve()
  }

  #step(what: string, { offset }: CommittedPosition, effect: () => void): Promise<void> {
    const { wire, host } = this.#parts
    return wire.call({
      host,
      what: `${what} ${this.#name}`,
      detail: offset,
      effect,
      unanswered: () => new MillraceError('TRANSACTION_NOT_COMMITTED', `${this.#name}: no answer to ${what}`),
    })
  }

  /** What clients do after trouble, as a courtesy to readers; it may arrive or not, soon or late. */
  #abortUnwatched(): void {
    const { wire, host } = this.#parts
    const dice = wire.timeline.dice(`${host.name} courtesy`)
    if (!dice.chance(0.5)) return
    wire.timeline.at(dice.spread(1, 3_000), () => {
      try {
        this.#parts.kafka.endTransaction(this.#name, this.#epoch, false)
      } catch {
        // refused: fenced, or nothing open
      }
    })
  }
}
