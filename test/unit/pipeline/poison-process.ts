import type { RawRecord } from '../../../src/record/raw-record.ts'
import type { InputStream } from '../../../src/source/source.ts'
import type { Clock } from '../../../src/time/clock.ts'
import { systemClock } from '../../../src/time/system-clock.ts'

let processes = 0

/** After its death nothing that was under way goes on, and nothing new begins: SIGKILL. */
export class Process {
  readonly name = `p${++processes}-`
  isDead = false
  isHung = false
  stopped: unknown = null
  readonly over: Promise<void>
  readonly waiting: Promise<void>
  readonly waits: () => void
  readonly #end: () => void
  #transactionsLeft: number

  constructor(transactions = Infinity) {
    this.#transactionsLeft = transactions
    const { promise, resolve } = Promise.withResolvers<void>()
    this.over = promise
    const wait = Promise.withResolvers<void>()
    this.waiting = wait.promise
    this.waits = wait.resolve
    this.#end = resolve
  }

  readonly clock: Clock = {
    now: () => systemClock.now(),
    monotonic: () => systemClock.monotonic(),
    // No deed takes longer; a back-off may be of seconds.
    sleep: (ms, signal) => this.alive(systemClock.sleep(Math.min(ms, 20), signal)),
  }

  die(): void {
    this.isDead = true
    this.#end()
  }

  stop(error: unknown): void {
    if (this.isDead) return
    this.stopped = error
    this.#end()
  }

  committed(): void {
    if (--this.#transactionsLeft <= 0) this.die()
  }

  mustLive(): void {
    if (this.isDead) throw new Error('dead')
  }

  alive<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      work.then(
        (value) => !this.isDead && resolve(value),
        (error: unknown) => !this.isDead && reject(error as Error),
      )
    })
  }
}

/** A partition of `topic`, all of it there from the beginning. */
export class LogStream implements InputStream {
  readonly ended = new AbortController().signal
  readonly highWatermarkAt = 0
  readonly nextTimestamp = null
  readonly stableEnd = null
  position = 0
  readonly input: InputStream['input']
  readonly #process: Process
  readonly #log: readonly RawRecord[]

  constructor(process: Process, topic: string, partition: number, log: readonly RawRecord[]) {
    this.#process = process
    this.#log = log
    this.input = { source: 'transactions', topic, partition }
  }

  get highWatermark(): number {
    return this.#log.length
  }
  seek(offset: number): void {
    this.position = offset
  }
  async take(rowsMax: number, signal: AbortSignal): ReturnType<InputStream['take']> {
    while (this.position >= this.#log.length) await this.#process.clock.sleep(5, signal)
    await this.#process.alive(Promise.resolve())
    const records = this.#log.slice(this.position, this.position + rowsMax)
    this.position += records.length
    return { records, next: this.position }
  }
  heartbeatAccepted(): Promise<void> {
    return this.#process.alive(Promise.resolve())
  }
  logRange(): ReturnType<InputStream['logRange']> {
    return this.#process.alive(Promise.resolve({ start: 0, end: this.#log.length }))
  }
  offsetAt(): Promise<number> {
    return Promise.resolve(0)
  }
}
