import type { RejectReason } from '../../src/record/event.ts'
import { createRandom, type Random } from '../../src/simulator/random.ts'

/** A record to write, and what the service must make of it. */
export interface InputRecord {
  readonly source: 'transactions' | 'labels'
  readonly partition: number
  readonly key: string | null
  readonly value: string | null
  readonly timestampMs: number
  readonly headers?: Readonly<Record<string, string>>
  /** `state`: a label, which predicts nothing. */
  readonly becomes: 'prediction' | 'state' | RejectReason
  /** What the record says; null when it cannot be read. */
  readonly event: {
    readonly id: string
    readonly key: string
    readonly time: number
    readonly fields: Fields
  } | null
}

type Fields = Readonly<Record<string, string | number | boolean>>

export interface TrafficOptions {
  readonly seed: number
  readonly partitions: number
  readonly customers?: number
  readonly terminals?: number
  /** Between two transactions, event time. */
  readonly stepMs?: number
  readonly labels?: boolean
  /** Share of records that become dead letters. Default 0.03. */
  readonly badShare?: number
  /** Share of events two hours late. Default 0.01. */
  readonly lateShare?: number
  /** Highest `tier` + 1; the lookup model knows 0 to 3. */
  readonly tiers?: number
}

const startMs = Date.UTC(2026, 0, 5)
const hourMs = 3_600_000
const dayMs = 24 * hourMs
/** A transaction is labelled this much later, event time: before the features' delay of 7 days has passed. */
const labelledAfterMs = 3 * dayMs

/** Card transactions and their labels in log order: with ties, disorder, late events and records that are no events. */
export class CardTraffic {
  readonly #options: Required<TrafficOptions>
  readonly #random: Random
  #made = 0
  #time = startMs
  readonly #unlabelled: InputRecord[] = []

  constructor(options: TrafficOptions) {
    this.#options = {
      customers: 60,
      terminals: 25,
      stepMs: 3_000,
      labels: false,
      badShare: 0.03,
      lateShare: 0.01,
      tiers: 4,
      ...options,
    }
    this.#random = createRandom(options.seed)
  }

  /** The next `count` transactions and the labels that become known meanwhile. */
  next(count: number): InputRecord[] {
    const records: InputRecord[] = []
    for (let i = 0; i < count; i++) {
      // Every tenth event shares its time with the one before.
      if (!this.#chance(0.1)) this.#time += this.#random.below(2 * this.#options.stepMs)
      const record = this.#transaction()
      records.push(record)
      if (this.#options.labels && record.becomes === 'prediction') this.#unlabelled.push(record)
      records.push(...this.#labelsDue())
    }
    return records
  }

  /** An event of customer `customer` as the traffic would make it now, with fields replaced. */
  one(fields: Fields = {}): InputRecord {
    return this.#transactionOf(fields)
  }

  #chance(share: number): boolean {
    return this.#random.next() < share
  }

  #transaction(): InputRecord {
    const record = this.#transactionOf({})
    return this.#chance(this.#options.badShare) ? this.#spoilt(record) : record
  }

  #transactionOf(change: Fields): InputRecord {
    const { customers, terminals, partitions, lateShare, tiers } = this.#options
    const customer = this.#random.below(customers)
    const disorder = this.#random.below(50_000)
    const late = this.#chance(lateShare) ? this.#random.below(2 * hourMs) : 0
    const id = `tx-${this.#made++}`
    const fields = {
      id,
      customer: `c${customer}`,
      terminal: `t${this.#random.below(terminals)}`,
      amountCents: Math.round(this.#random.logBetween(100, 30_000)),
      tier: this.#random.below(tiers),
      ts: Math.max(0, this.#time - disorder - late),
      ...change,
    }
    return {
      source: 'transactions',
      partition: customer % partitions,
      key: fields.customer,
      value: JSON.stringify(fields),
      timestampMs: this.#time,
      becomes: 'prediction',
      event: { id, key: fields.customer, time: fields.ts, fields },
    }
  }

  /** The record made wrong in one of the ways that records are. */
  #spoilt(record: InputRecord): InputRecord {
    const dead = (becomes: RejectReason, change: Partial<InputRecord>): InputRecord => ({
      ...record,
      headers: { 'x-origin': 'test' },
      ...change,
      becomes,
      event: null,
    })
    const value = record.value ?? ''
    switch (this.#random.below(6)) {
      case 0:
        return dead('DECODE', { value: value.slice(0, 30) })
      case 1:
        return dead('VALIDATION', { key: null })
      case 2:
        return dead('VALIDATION', { key: 'somebody-else' })
      case 3:
        return dead('VALIDATION', { value: null })
      case 4:
        return dead('SCHEMA', { value: value.replace(/"amountCents":\d+/, '"amountCents":"a lot"') })
      default:
        return dead('TIMESTAMP', {
          value: value.replace(/"ts":\d+/, `"ts":${record.timestampMs + 10 * 60_000}`),
        })
    }
  }

  #labelsDue(): InputRecord[] {
    const labels: InputRecord[] = []
    for (let oldest = this.#unlabelled[0]; oldest; oldest = this.#unlabelled[0]) {
      if (oldest.timestampMs + labelledAfterMs > this.#time) break
      this.#unlabelled.shift()
      labels.push(this.#labelOf(oldest))
    }
    return labels
  }

  #labelOf({ event }: InputRecord): InputRecord {
    const { terminal = '', ts = 0 } = event?.fields ?? {}
    const fields = {
      id: `label-${event?.id}`,
      terminal: String(terminal),
      fraud: this.#chance(0.1),
      ts: Number(ts),
    }
    return {
      source: 'labels',
      partition: Number(fields.terminal.slice(1)) % this.#options.partitions,
      key: fields.terminal,
      value: JSON.stringify(fields),
      timestampMs: this.#time,
      becomes: 'state',
      event: { id: fields.id, key: fields.terminal, time: fields.ts, fields },
    }
  }
}
