import { isReject, type Event, type RejectReason } from '../../src/record/event.ts'
import { inputName, type InputPartition } from '../../src/record/input.ts'
import type { RawRecord } from '../../src/record/raw-record.ts'
import { decode } from './feed.ts'
import type { Kafka } from './kafka.ts'
import { allowedLatenessMs, outOfOrderMs, transactions, trouble, type Settings } from './topology.ts'

/** What one record must lead to, by the definition and from the log alone. */
export interface Expected {
  readonly raw: RawRecord
  readonly event: Event | null
  /** Whether it changes state. */
  readonly applied: boolean
  readonly late: boolean
  /** Windows of a late event end where trimming may cut. */
  readonly lateBeforeMs: number
  /** Largest event time up to and with this record. */
  readonly maxTime: number
  /** Reason of the dead letter; null: a label that is fine yields nothing. */
  readonly outcome: 'prediction' | RejectReason | null
}

/** Furthest any window of the simulated topology looks back, for transactions and for labels, ms. */
const horizonMs = 6_000

/** Reads each input log once, in order, as it grows. */
export class ExpectedLogs {
  readonly #kafka: Kafka
  readonly #late: Settings['late']
  readonly #logs = new Map<string, Expected[]>()

  constructor(kafka: Kafka, late: Settings['late']) {
    this.#kafka = kafka
    this.#late = late
  }

  of(input: InputPartition): readonly Expected[] {
    const name = inputName(input)
    const known = this.#logs.get(name) ?? []
    this.#logs.set(name, known)
    const records = this.#kafka.records(name)
    while (known.length < records.length) {
      const before = known.at(-1)?.maxTime ?? -Infinity
      known.push(expectedOf(input, records[known.length] as RawRecord, before, this.#late))
    }
    return known
  }
}

function expectedOf(
  input: InputPartition,
  raw: RawRecord,
  before: number,
  policy: Settings['late'],
): Expected {
  const decoded = decode(raw)
  const lateBeforeMs = before - outOfOrderMs - allowedLatenessMs
  const base = { raw, lateBeforeMs, maxTime: before, event: null, applied: false, late: false }
  if (isReject(decoded)) return { ...base, outcome: decoded.reason }
  const { time } = decoded
  const scored = input.source === transactions
  const visible = time > before - outOfOrderMs - horizonMs
  const late = scored ? time < lateBeforeMs : !visible
  const outcome = scored ? outcomeOf(decoded, late && policy === 'dead-letter') : null
  return {
    ...base,
    event: decoded,
    applied: late ? scored && policy === 'score' && visible : true,
    late,
    maxTime: Math.max(before, time),
    outcome,
  }
}

function outcomeOf({ fields }: Event, tooLate: boolean): Expected['outcome'] {
  if (tooLate) return 'LATE'
  if (fields['amount'] === trouble.modelFails) return 'INFERENCE'
  return fields['amount'] === trouble.tooLarge ? 'OVERSIZE' : 'prediction'
}
