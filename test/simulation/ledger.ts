import { parseMetadata } from '../../src/pipeline/metadata.ts'
import { lostUntil } from '../../src/pipeline/topic-life.ts'
import { inputName, type InputPartition } from '../../src/record/input.ts'
import type { ExpectedLogs } from './expected.ts'
import type { Kafka, Transaction } from './kafka.ts'
import type { OutputCheck, SimulatedOutput } from './output-check.ts'

/** What the commits of one input say. */
export interface Account {
  readonly incarnation: string
  readonly position: number
  /** First offset that state is built from. */
  readonly base: number
  /** Largest event time of anything committed so far, in this incarnation and before. */
  readonly seenTime: number
  /** Smallest distance of wall time from event time, ms. */
  readonly distanceMin: number
  /**
   * Up to this event time it may ask for what others have trimmed or let expire: it was there before, under another incarnation, or
   * it stayed behind the others for longer than outageMax.
   */
  readonly rereadUntil: number
  readonly gapUntil: number | null
  /** Before this event time, what others stored may have expired, as far as clocks tell. */
  readonly expiredBefore: number
}

export interface LedgerParts {
  readonly inputs: readonly InputPartition[]
  readonly kafka: Kafka
  readonly logs: ExpectedLogs
  readonly outputs: OutputCheck
  /** Wall clock, epoch ms. */
  readonly now: () => number
  readonly outageMaxMs: number
  readonly violated: (what: string) => void
}

/** Wall clocks differ by as much, ms. */
export const skewMaxMs = 1_000
/** The service allows for clocks that differ by 4 s; these may, and events may lie ahead of them. Less outOfOrder and lateness. */
const expiredEarlyMs = 4_000 + 2 * skewMaxMs + 1_000 - 2_500

/** Checks every commit, in the order in which they are decided: R4, I1 to I4, and by OutputCheck I7 and I9. */
export class Ledger {
  readonly #parts: LedgerParts
  readonly #accounts = new Map<string, Account>()
  readonly #renewable = new Set<string>()

  constructor(parts: LedgerParts) {
    this.#parts = parts
  }

  of(name: string): Account | null {
    return this.#accounts.get(name) ?? null
  }
  position(name: string): number {
    return this.#accounts.get(name)?.position ?? 0
  }

  /** Event time up to which an input may have to do without what the others stored, or what it has seen itself. */
  readTime(name: string): number {
    const account = this.of(name)
    if (account === null) return -Infinity
    return Math.max(account.seenTime, this.#rereadUntil(account))
  }

  #rereadUntil({ seenTime, distanceMin, rereadUntil }: Account): number {
    const { now, outageMaxMs } = this.#parts
    const isOutlived = now() + skewMaxMs - seenTime - distanceMin > outageMaxMs
    if (!isOutlived || seenTime === -Infinity) return rereadUntil
    return Math.max(rereadUntil, ...[...this.#accounts.values()].map((other) => other.seenTime))
  }

  /** Something happened after which a new incarnation of this input is right. */
  mayRenew(name: string): void {
    this.#renewable.add(name)
  }
  isRenewable(name: string): boolean {
    return this.#renewable.has(name)
  }

  commit({ id, outputs, position }: Transaction): void {
    const { inputs, violated, logs } = this.#parts
    const input = inputs.find((candidate) => inputName(candidate) === id)!
    const metadata = parseMetadata(position?.metadata ?? '')
    if (position === null || metadata === null) return violated(`R4: ${id}: a commit without position`)
    const account = this.of(id)
    if (account === null || account.incarnation !== metadata.incarnation) {
      if (outputs.length > 0) return violated(`I1: ${id}: outputs before the start is pinned`)
      return this.#begin(input, metadata)
    }
    const from = account.position
    const rereadUntil = this.#rereadUntil(account)
    if (position.offset < from) return violated(`I4: ${id} goes back from ${from} to ${position.offset}`)
    const log = logs.versions(input).at(-1)
    log?.quarantine(metadata.quarantine)
    this.#parts.outputs.check(input, from, position.offset, outputs as SimulatedOutput[], {
      ...account,
      rereadUntil,
      gapUntil: metadata.gapUntil,
      expiredBefore: this.#parts.now() - this.#parts.outageMaxMs + expiredEarlyMs,
    })
    const seenTime = Math.max(account.seenTime, log?.timeBelow(position.offset) ?? -Infinity)
    this.#accounts.set(id, {
      ...account,
      position: position.offset,
      gapUntil: metadata.gapUntil,
      seenTime,
      distanceMin: Math.min(account.distanceMin, this.#parts.now() - seenTime),
      rereadUntil,
    })
  }

  #begin(input: InputPartition, pinned: NonNullable<ReturnType<typeof parseMetadata>>): void {
    const { kafka, logs, violated } = this.#parts
    const name = inputName(input)
    const before = this.of(name)
    const { start, base, offset, incarnation, gapUntil } = pinned
    if (before !== null && !this.#renewable.delete(name)) {
      violated(`I4: ${name}: another incarnation, although nothing is foreign`)
    }
    const { end } = kafka.range(name)
    if (offset !== start || base > start || start > end) {
      violated(
        `R4: ${name} is pinned at ${offset} with start ${start} and base ${base}, the log ends at ${end}`,
      )
    }
    logs.begin(input, kafka.records(name), base, lostUntil(incarnation))
    const log = logs.versions(input).at(-1)!
    log.quarantine(pinned.quarantine)
    const time = log.timeBelow(start)
    const seenTime = before?.seenTime ?? -Infinity
    this.#accounts.set(name, {
      incarnation,
      position: offset,
      base,
      gapUntil,
      seenTime: Math.max(seenTime, time),
      distanceMin: before?.distanceMin ?? Infinity,
      rereadUntil: seenTime > time ? seenTime : -Infinity,
      expiredBefore: -Infinity,
    })
  }
}
