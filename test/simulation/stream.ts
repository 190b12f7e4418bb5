import { MillraceError } from '../../src/errors.ts'
import { inputName, type InputPartition } from '../../src/record/input.ts'
import type { InputStream, LogRange, Taken } from '../../src/source/source.ts'
import type { Dice } from './dice.ts'
import type { Host } from './host.ts'
import type { Kafka } from './kafka.ts'
import type { Wire } from './wire.ts'

export interface StreamParts {
  readonly wire: Wire
  readonly host: Host
  readonly kafka: Kafka
  readonly input: InputPartition
  readonly ended: AbortSignal
  /** Whether a heartbeat sent now is accepted. */
  readonly isMember: () => boolean
}

const heartbeatIntervalMs = 300
/** Replays take several steps, too. */
const fetchedRowsMax = 12

/** One partition in one generation, fetched from the log in memory. */
export class SimulatedStream implements InputStream {
  readonly input: InputPartition
  readonly ended: AbortSignal
  position = -1
  nextTimestamp: number | null = null
  readonly #parts: StreamParts
  readonly #name: string
  readonly #dice: Dice
  readonly stableEnd = null
  #end = { offset: -1, at: 0 }
  /** Fetches go on behind a waiting `take`, so the end stays known. */
  #isFetching = false

  constructor(parts: StreamParts) {
    this.#parts = parts
    this.input = parts.input
    this.ended = parts.ended
    this.#name = inputName(parts.input)
    this.#dice = parts.wire.timeline.dice(`${parts.host.name} ${this.#name} stream`)
  }

  get highWatermark(): number {
    if (this.#isFetching) this.#endSeen()
    return this.#end.offset
  }
  get highWatermarkAt(): number {
    if (this.#isFetching) this.#endSeen()
    return this.#end.at
  }
  #endSeen(): void {
    this.#end = { offset: this.#parts.kafka.end(this.#name), at: this.#parts.host.clock.now() }
  }

  seek(offset: number): void {
    this.position = offset
  }

  async take(rowsMax: number, signal: AbortSignal): Promise<Taken> {
    const { wire, host, kafka } = this.#parts
    const stop = AbortSignal.any([signal, this.ended])
    for (;;) {
      stop.throwIfAborted()
      const most = 1 + this.#dice.below(Math.min(rowsMax, fetchedRowsMax))
      const fetched = await wire.call({
        host,
        what: `fetch ${this.#name}`,
        detail: this.position,
        effect: () => kafka.fetch(this.#name, this.position, most),
        signal: stop,
      })
      this.#endSeen()
      if (fetched !== null) {
        this.position = fetched.next
        return fetched
      }
      this.#isFetching = true
      await this.#appended(stop).finally(() => (this.#isFetching = false))
    }
  }

  #appended(stop: AbortSignal): Promise<void> {
    const { host, kafka } = this.#parts
    if (kafka.end(this.#name) !== this.position) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(stop.reason)
      stop.addEventListener('abort', onAbort, { once: true })
      kafka.onAppend(this.#name, () =>
        host.deliver(this.#dice.between(1, 30), () => {
          stop.removeEventListener('abort', onAbort)
          resolve()
        }),
      )
    })
  }

  async heartbeatAccepted(signal: AbortSignal): Promise<void> {
    const { host, isMember } = this.#parts
    const stop = AbortSignal.any([signal, this.ended])
    do await host.clock.sleep(heartbeatIntervalMs, stop)
    while (!isMember())
  }

  async logRange(): Promise<LogRange> {
    const { wire, host, kafka } = this.#parts
    const at = host.clock.now()
    const range = await wire.call({
      host,
      what: `log range ${this.#name}`,
      effect: () => kafka.range(this.#name),
      unanswered: () => new MillraceError('KAFKA_UNREACHABLE', `asking for the range of ${this.#name}`),
    })
    this.#end = { offset: range.end, at }
    return range
  }

  offsetAt(timestampMs: number): Promise<number> {
    const { wire, host, kafka } = this.#parts
    return wire.call({
      host,
      what: `offset by time ${this.#name}`,
      effect: () => kafka.offsetAt(this.#name, timestampMs),
      unanswered: () => new MillraceError('KAFKA_UNREACHABLE', `asking for an offset of ${this.#name}`),
    })
  }
}
