import type { CommittedPosition } from '../../src/commit/transaction.ts'
import { MillraceError } from '../../src/errors.ts'
import type { OutputRecord } from '../../src/record/output.ts'
import type { RawRecord } from '../../src/record/raw-record.ts'
import type { LogRange } from '../../src/source/source.ts'
import type { Timeline } from './scheduler.ts'
import type { Trace } from './trace.ts'

/** One transaction as the broker knows it. */
export interface Transaction {
  readonly id: string
  readonly outputs: OutputRecord[]
  position: CommittedPosition | null
  state: 'open' | 'committing' | 'committed' | 'aborted'
}

interface Coordinator {
  epoch: number
  current: Transaction | null
}

interface Log {
  /** All there ever were, also the deleted ones. */
  readonly records: RawRecord[]
  /** First offset that was not deleted. */
  start: number
  /** Offset after the last entry; entries that are not records (control records) leave gaps. */
  end: number
  waiting: (() => void)[]
}

export interface BrokerOptions {
  /** False: a claim fences nobody (to test the checker). */
  readonly fences: boolean
  /** The broker leaves an open transaction alone for as long, ms. */
  readonly transactionTimeoutMs: number
}

/** Kafka in memory: input logs, transactions with epochs, the group's offsets, an output log with markers. */
export class Kafka {
  /** Called when a commit is decided (its end is in the log), with the position before. */
  onCommit: (transaction: Transaction, before: CommittedPosition | null) => void = () => {}
  readonly #timeline: Timeline
  readonly #trace: Trace
  readonly #options: BrokerOptions
  readonly #logs = new Map<string, Log>()
  readonly #coordinators = new Map<string, Coordinator>()
  readonly #lives = new Map<string, number>()
  readonly #offsets = new Map<string, CommittedPosition>()

  constructor(timeline: Timeline, trace: Trace, options: BrokerOptions) {
    this.#timeline = timeline
    this.#trace = trace
    this.#options = options
  }

  // --- input logs ---------------------------------------------------------------------------------------------------

  createLog(input: string): void {
    const waiting = this.#logs.get(input)?.waiting ?? []
    this.#logs.set(input, { records: [], start: 0, end: 0, waiting })
  }
  append(input: string, record: RawRecord): void {
    const log = this.#log(input)
    log.records.push(record)
    log.end = record.offset + 1
    for (const wake of log.waiting.splice(0)) wake()
  }
  /** A control record: takes an offset, is never delivered. */
  appendControl(input: string): void {
    const log = this.#log(input)
    log.end++
    for (const wake of log.waiting.splice(0)) wake()
  }
  /** All partitions of a topic get a new life. */
  topicId(topic: string): string {
    return `${topic}#${this.#lives.get(topic) ?? 0}`
  }
  recreated(topic: string): void {
    this.#lives.set(topic, (this.#lives.get(topic) ?? 0) + 1)
  }
  /** Retention: everything below `offset` goes. */
  deleteBelow(input: string, offset: number): void {
    const log = this.#log(input)
    log.start = Math.max(log.start, Math.min(offset, log.end))
  }
  /** All records this log ever had; another array when the topic was recreated. */
  records(input: string): readonly RawRecord[] {
    return this.#log(input).records
  }
  range(input: string): LogRange {
    const { start, end } = this.#log(input)
    return { start, end }
  }
  end(input: string): number {
    return this.#log(input).end
  }
  /** First offset of a record that is as young; the end when there is none. */
  offsetAt(input: string, timestampMs: number): number {
    const { records, start, end } = this.#log(input)
    const found = records.find(({ offset, timestamp }) => offset >= start && timestamp >= timestampMs)
    return found?.offset ?? end
  }
  /** Records from `position` on, and the position after them; null when there is nothing yet. */
  fetch(
    input: string,
    position: number,
    rowsMax: number,
  ): { records: readonly RawRecord[]; next: number } | null {
    const { records, start, end } = this.#log(input)
    if (position === end) return null
    if (position < start || position > end) {
      const code = position < start ? 'OFFSET_BELOW_LOG' : 'OFFSET_FOREIGN'
      throw new MillraceError(code, `offset ${position} of ${input} is outside the log [${start}, ${end})`)
    }
    const from = records.findIndex((record) => record.offset >= position)
    if (from < 0) return { records: [], next: end }
    const taken = records.slice(from, from + rowsMax)
    const following = records[from + rowsMax]
    return { records: taken, next: following === undefined ? end : following.offset }
  }
  /** Calls `wake` once, when something is appended. */
  onAppend(input: string, wake: () => void): void {
    this.#log(input).waiting.push(wake)
  }

  // --- the group's offsets ------------------------------------------------------------------------------------------

  committed(input: string): CommittedPosition | null {
    return this.#offsets.get(input) ?? null
  }
  /** As decided, markers written or not. */
  decided(input: string): CommittedPosition | null {
    const current = this.#coordinators.get(input)?.current
    return current?.state === 'committing' ? current.position : this.committed(input)
  }

  /** What another tool writes, or that the group's offsets have expired. */
  setCommitted(input: string, position: CommittedPosition | null): void {
    if (position === null) this.#offsets.delete(input)
    else this.#offsets.set(input, position)
  }

  // --- transactions; the id is the name of the input ----------------------------------------------------------------

  /** InitProducerId: ends what earlier owners left and fences them. */
  claim(id: string): number {
    const coordinator = this.#coordinator(id)
    if (!this.#options.fences) return coordinator.epoch
    if (coordinator.current?.state === 'committing') this.#finish(coordinator)
    if (coordinator.current?.state === 'open') this.#abort(coordinator, 'by a claim')
    return ++coordinator.epoch
  }
  epochOf(id: string): number {
    return this.#coordinator(id).epoch
  }
  /** AddPartitionsToTxn and AddOffsetsToTxn: a transaction is open, and readers wait behind it. */
  begin(id: string, epoch: number): void {
    this.#open(id, epoch)
  }
  produce(id: string, epoch: number, outputs: readonly OutputRecord[]): void {
    this.#open(id, epoch).outputs.push(...outputs)
  }
  addOffset(id: string, epoch: number, position: CommittedPosition): void {
    this.#open(id, epoch).position = position
  }
  /** EndTxn: acknowledged when the decision is logged; the markers follow. */
  endTransaction(id: string, epoch: number, commit: boolean): void {
    if (this.#coordinator(id).epoch > epoch) this.#trace.count('EndTxn refused after a re-claim')
    const coordinator = this.#fencedCoordinator(id, epoch)
    const { current } = coordinator
    if (current?.state === 'committing' && commit) return
    if (current?.state !== 'open') {
      throw new MillraceError('TRANSACTION_NOT_COMMITTED', `${id}: no transaction is open`)
    }
    if (!commit) return this.#abort(coordinator, 'as asked')
    const before = this.committed(id)
    current.state = 'committing'
    this.#trace.add(this.#timeline.nowMs, 'kafka', id, 'commits up to', current.position?.offset)
    this.onCommit(current, before)
    this.#timeline.at(this.#timeline.dice(`markers ${id}`).between(0, 30), () => {
      if (coordinator.current === current) this.#finish(coordinator)
    })
  }

  /** Readers wait behind these. */
  openTransactions(): readonly string[] {
    return [...this.#coordinators].flatMap(([id, { current }]) => (current?.state === 'open' ? [id] : []))
  }

  /** Positions and transactions, as text. */
  fingerprint(): string {
    const coordinators = [...this.#coordinators].map(([id, { epoch, current }]) => {
      return [id, epoch, current && [current.state, current.outputs.length, current.position]]
    })
    return JSON.stringify([[...this.#offsets], coordinators])
  }

  #open(id: string, epoch: number): Transaction {
    const coordinator = this.#fencedCoordinator(id, epoch)
    if (coordinator.current?.state === 'committing') this.#finish(coordinator)
    if (coordinator.current?.state === 'open') return coordinator.current
    const current: Transaction = { id, outputs: [], position: null, state: 'open' }
    coordinator.current = current
    this.#timeline.at(this.#options.transactionTimeoutMs, () => this.#timeOut(coordinator, current))
    return current
  }

  #timeOut(coordinator: Coordinator, transaction: Transaction): void {
    if (coordinator.current !== transaction || transaction.state !== 'open') return
    this.#abort(coordinator, 'by its timeout')
    if (this.#options.fences) coordinator.epoch++
    this.#trace.count('transaction timeout')
  }

  #finish(coordinator: Coordinator): void {
    const { current } = coordinator
    if (current === null) return
    current.state = 'committed'
    coordinator.current = null
    if (current.position !== null) this.#offsets.set(current.id, current.position)
  }

  #abort(coordinator: Coordinator, why: string): void {
    const { current } = coordinator
    if (current === null) return
    current.state = 'aborted'
    coordinator.current = null
    this.#trace.count('aborted transaction')
    this.#trace.add(this.#timeline.nowMs, 'kafka', current.id, 'aborts', why)
  }

  #fencedCoordinator(id: string, epoch: number): Coordinator {
    const coordinator = this.#coordinator(id)
    if (this.#options.fences && coordinator.epoch !== epoch) {
      this.#trace.count('fenced')
      throw new MillraceError('TRANSACTION_FENCED', `${id}: epoch ${epoch} is over, now ${coordinator.epoch}`)
    }
    return coordinator
  }
  #coordinator(id: string): Coordinator {
    const coordinator = this.#coordinators.get(id) ?? { epoch: 0, current: null }
    this.#coordinators.set(id, coordinator)
    return coordinator
  }
  #log(input: string): Log {
    const log = this.#logs.get(input)
    if (log === undefined) throw new Error(`no log ${input}`)
    return log
  }
}
