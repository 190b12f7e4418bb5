import type { OutputRecord } from '../../record/output.ts'
import { aloneBytes, defaultBatchBytesMax } from '../../record/size.ts'
import { originalHeaders } from '../../sink/headers.ts'
import { partitionOfKey } from '../../sink/murmur2.ts'
import type { Clock } from '../../time/clock.ts'
import { placeText, replayHeaders, selects } from './dead-letter.ts'
import type { DeadLetter, DeadLetterFilter } from './dead-letter.ts'
import { ledgerRecord, type ReplayLedger } from './ledger.ts'

/** What happened to one dead letter that a replay looked at. */
export type ReplayStep =
  | 'replayed'
  | 'replayed before'
  | 'left: killed the process'
  | 'left: is in the windows'
  | 'left: holds no record'
  | 'left: another group'
  | 'left: no source reads its topic'
  | 'left: larger than its topic takes'

export interface ReplayParts {
  readonly filter: DeadLetterFilter
  readonly group: string
  readonly ledger: ReplayLedger
  readonly ledgerTopic: string
  /** Topics of the sources. */
  readonly sources: ReadonlySet<string>
  /** Partitions of the source topics and of the ledger topic. */
  readonly partitionCounts: ReadonlyMap<string, number>
  /** Largest record batch each of them takes. */
  readonly bytesMax: ReadonlyMap<string, number>
  /** One transaction: all or nothing, resolved only when acknowledged. */
  readonly write: (outputs: readonly OutputRecord[]) => Promise<void>
  readonly clock: Clock
  /** Records a second. */
  readonly rate: number
  /** Letters to write at most. */
  readonly limit: number
  /** Told after the commit. */
  readonly report: (letter: DeadLetter, step: ReplayStep) => void
}

/** Records of one transaction at most. */
const rowsPerTransactionMax = 200
/** At low rates a transaction holds what is due within this time. */
const sliceMs = 250

/**
 * Writes selected dead letters back to their source topics, each with its entry of the ledger in one transaction. A
 * letter whose entry is there is left out, so a run may end anywhere and be started again.
 */
export class DeadLetterReplay {
  readonly #parts: ReplayParts
  readonly #sliceMax: number
  readonly #mayTakeMore: (left: ReplayStep | null) => boolean
  #slice: DeadLetter[] = []
  #written = 0
  #startedAt: number | null = null

  constructor(parts: ReplayParts) {
    this.#parts = parts
    this.#mayTakeMore = writeLimit(parts.limit)
    this.#sliceMax = Math.max(1, Math.min(rowsPerTransactionMax, Math.floor((parts.rate * sliceMs) / 1000)))
  }

  get written(): number {
    return this.#written
  }

  /** False when no more are to be written. */
  async add(letter: DeadLetter, signal: AbortSignal): Promise<boolean> {
    if (!selects(this.#parts.filter, letter)) return true
    const left = reasonToLeave(letter, this.#parts) ?? this.#misfit(letter)
    if (left !== null) {
      this.#parts.report(letter, left)
      return true
    }
    this.#slice.push(letter)
    if (this.#slice.length >= this.#sliceMax) await this.flush(signal)
    return this.#mayTakeMore(null)
  }

  /** Writes what is collected, not before it is due. */
  async flush(signal: AbortSignal): Promise<void> {
    const { clock, rate, write, report } = this.#parts
    const slice = this.#slice
    if (slice.length === 0) return
    this.#startedAt ??= clock.monotonic()
    const waitMs = this.#startedAt + (this.#written * 1000) / rate - clock.monotonic()
    if (waitMs > 0) await clock.sleep(waitMs, signal)
    signal.throwIfAborted()
    await write(slice.flatMap((letter) => this.#outputs(letter)))
    this.#slice = []
    this.#written += slice.length
    for (const letter of slice) report(letter, 'replayed')
  }

  /** Its headers tell of the replay, and the topic may take less than when the record was written. */
  #misfit(letter: DeadLetter): ReplayStep | null {
    const { topic } = letter.source
    const record = replayedRecord(letter, this.#parts.partitionCounts.get(topic) ?? 0)
    const fits = aloneBytes(record) <= (this.#parts.bytesMax.get(topic) ?? defaultBatchBytesMax)
    return fits ? null : 'left: larger than its topic takes'
  }

  #outputs(letter: DeadLetter): readonly OutputRecord[] {
    const { ledgerTopic, partitionCounts, clock } = this.#parts
    const count = partitionCounts.get(ledgerTopic) ?? 1
    return [
      replayedRecord(letter, partitionCounts.get(letter.source.topic) ?? 0),
      ledgerRecord(letter, ledgerTopic, count, clock.now()),
    ]
  }
}

/** Of a replay and its dry run alike: letters that are left out do not count. The function says whether one more may come. */
export function writeLimit(max: number): (left: ReplayStep | null) => boolean {
  let written = 0
  return (left) => {
    if (left === null) written++
    return written < max
  }
}

/** Why a replay would leave a selected letter out; null: it would write it. */
export function reasonToLeave(
  letter: DeadLetter,
  { filter, group, ledger, sources }: Pick<ReplayParts, 'filter' | 'group' | 'ledger' | 'sources'>,
): ReplayStep | null {
  if (letter.group !== group) return 'left: another group'
  if (!sources.has(letter.source.topic)) return 'left: no source reads its topic'
  if (!letter.holdsRecord) return 'left: holds no record'
  return reservation(letter, filter) ?? (ledger.has(letter) ? 'replayed before' : null)
}

/** Events that failed after they had changed windows, which count whether or not scoring succeeded. */
const reasonsCounted: ReadonlySet<string> = new Set(['MISSING', 'EXPRESSION', 'INFERENCE', 'OUTPUT'])

/**
 * Why a letter is replayed only when its reason or its id is asked for: what killed the process would do so again, and
 * an event that is in the windows would count twice.
 */
function reservation({ reason, id }: DeadLetter, filter: DeadLetterFilter): ReplayStep | null {
  if (filter.reasons?.includes(reason) === true || filter.ids?.has(id) === true) return null
  if (reason === 'POISON') return 'left: killed the process'
  return reasonsCounted.has(reason) ? 'left: is in the windows' : null
}

/**
 * The record as it was, for the partition it came from: the windows of its key are there, whatever partitioner its
 * producer uses. Only a recreated topic has fewer partitions; then the key decides. The timestamp is left to the
 * producer (now): the record becomes known now, retention counts from now, and event time is in the value.
 */
export function replayedRecord({ raw, source, id }: DeadLetter, partitions: number): OutputRecord {
  const byKey = raw.key === null ? source.partition % partitions : partitionOfKey(raw.key, partitions)
  return {
    kind: 'dead-letter',
    topic: source.topic,
    partition: source.partition < partitions ? source.partition : byKey,
    key: raw.key,
    value: raw.value,
    headers: [
      // Of a record that was a replay itself the last one counts.
      ...originalHeaders(raw.headers).filter(
        ([name]) => name !== replayHeaders.id && name !== replayHeaders.from,
      ),
      [replayHeaders.id, id],
      [replayHeaders.from, placeText(source)],
    ],
  }
}
