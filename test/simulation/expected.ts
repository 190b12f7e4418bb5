import { isReject, type Event, type RejectReason } from '../../src/record/event.ts'
import { inputName, type InputPartition } from '../../src/record/input.ts'
import type { RawRecord } from '../../src/record/raw-record.ts'
import { decode } from './feed.ts'
import {
  allowedLatenessMs,
  horizonMs,
  outOfOrderMs,
  transactions,
  trouble,
  type Settings,
} from './topology.ts'

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

/** One incarnation of an input: the records of one log from `base` on. Reads the log once, in order, as it grows. */
export class ExpectedLog {
  readonly input: InputPartition
  readonly #records: readonly RawRecord[]
  readonly #base: number
  readonly #late: Settings['late']
  #quarantine: ReadonlySet<number> = new Set()
  #known: Expected[] = []
  #read = 0

  /** Latest event time of what was deleted and is missing; null: nothing is. */
  readonly lostUntil: number | null

  constructor(
    input: InputPartition,
    records: readonly RawRecord[],
    base: number,
    late: Settings['late'],
    lostUntil: number | null = null,
  ) {
    this.input = input
    this.lostUntil = lostUntil
    this.#records = records
    this.#base = base
    this.#late = late
  }

  get all(): readonly Expected[] {
    for (; this.#read < this.#records.length; this.#read++) {
      const raw = this.#records[this.#read] as RawRecord
      if (raw.offset < this.#base) continue
      const before = this.#known.at(-1)?.maxTime ?? -Infinity
      const poisoned = this.#quarantine.has(raw.offset)
      this.#known.push(expectedOf(this.input, raw, before, this.#late, poisoned))
    }
    return this.#known
  }

  /** These are neither applied nor scored. */
  quarantine(offsets: readonly number[]): void {
    if (offsets.every((offset) => this.#quarantine.has(offset))) return
    this.#quarantine = new Set([...this.#quarantine, ...offsets])
    this.#known = []
    this.#read = 0
  }

  /** As if nothing below the base had been deleted. What is quarantined is not missed. */
  whole(): ExpectedLog {
    const whole = new ExpectedLog(this.input, this.#records, 0, this.#late)
    whole.quarantine([...this.#quarantine])
    return whole
  }

  /** Largest event time below an offset. */
  timeBelow(position: number): number {
    return this.all.findLast(({ raw }) => raw.offset < position)?.maxTime ?? -Infinity
  }
}

/** The incarnations of every input, the newest last. */
export class ExpectedLogs {
  readonly #late: Settings['late']
  readonly #versions = new Map<string, ExpectedLog[]>()

  constructor(late: Settings['late']) {
    this.#late = late
  }

  begin(input: InputPartition, records: readonly RawRecord[], base: number, lostUntil: number | null): void {
    const versions = this.versions(input)
    versions.push(new ExpectedLog(input, records, base, this.#late, lostUntil))
    this.#versions.set(inputName(input), versions)
  }
  versions(input: InputPartition): ExpectedLog[] {
    return this.#versions.get(inputName(input)) ?? []
  }
  of(input: InputPartition): readonly Expected[] {
    return this.versions(input).at(-1)?.all ?? []
  }
}

function expectedOf(
  input: InputPartition,
  raw: RawRecord,
  before: number,
  policy: Settings['late'],
  poisoned: boolean,
): Expected {
  const decoded = decode(raw)
  const lateBeforeMs = before - outOfOrderMs - allowedLatenessMs
  const base = { raw, lateBeforeMs, maxTime: before, event: null, applied: false, late: false }
  if (poisoned) return { ...base, outcome: 'POISON' }
  if (isReject(decoded)) return { ...base, outcome: decoded.reason }
  const { time } = decoded
  const scored = input.source === transactions
  const visible = time > before - outOfOrderMs - horizonMs
  const late = scored && time < lateBeforeMs
  const outcome = scored ? outcomeOf(decoded, late && policy === 'dead-letter') : null
  return {
    ...base,
    event: decoded,
    applied: late ? policy === 'score' && visible : true,
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
