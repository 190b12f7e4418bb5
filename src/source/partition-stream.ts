import { MillraceError } from '../errors.ts'
import type { Fetched } from '../kafka/fetched.ts'
import type { GroupControl } from '../kafka/internals.ts'
import { RecordQueue } from '../kafka/record-queue.ts'
import { committedFrames } from '../kafka/wire/committed-frames.ts'
import { framesOf, type Frame } from '../kafka/wire/read-frames.ts'
import { Unreadable } from '../kafka/wire/unreadable.ts'
import type { InputPartition } from '../record/input.ts'
import type { RawRecord } from '../record/raw-record.ts'
import type { Clock } from '../time/clock.ts'
import type { HeartbeatWaits } from './heartbeat-waits.ts'
import type { InputStream, LogRange, StableEnd, Taken } from './source.ts'

export interface StreamLimits {
  readonly queuedRowsMax: number
  readonly queuedBytesMax: number
}

export interface StreamParts {
  readonly input: InputPartition
  /** The member this stream was assigned to. */
  readonly group: GroupControl
  readonly limits: StreamLimits
  /** Aborted when the generation ends; its reason is what waiting calls reject with. */
  readonly ended: AbortSignal
  readonly heartbeats: HeartbeatWaits
  readonly log: StreamLog
  readonly clock: Clock
}

/** Questions about the log that are not answered by fetches. */
export interface StreamLog {
  logRange(topic: string, partition: number): Promise<LogRange>
  offsetAt(topic: string, partition: number, timestampMs: number): Promise<number>
}

/** What `take` waits for: something queued, or only a moved position. */
interface Waiting {
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * One partition in one generation. Fetches come in by `accept` and wait in a queue that pauses the partition when
 * full (at most one fetch above its limits); `take` empties it. A fetch is accepted only when it starts exactly
 * where the last one ended or where the last seek points, so nothing from before a seek gets through.
 */
export class PartitionStream implements InputStream {
  readonly input: InputPartition
  readonly ended: AbortSignal
  highWatermark = -1
  highWatermarkAt = 0
  stableEnd: StableEnd | null = null
  readonly #parts: StreamParts
  #queue: RecordQueue
  /** Offset after everything `take` returned; −1 before the first seek. */
  #position = -1
  /** Offset the next fetch must start at. */
  #expected = -1
  #paused = true
  #failure: MillraceError | null = null
  #waiting: Waiting | null = null
  #isTaking = false
  /** What did not fit its checksum, or began nowhere, when it was fetched before. */
  #doubted: string | null = null

  constructor(parts: StreamParts) {
    this.#parts = parts
    this.input = parts.input
    this.ended = parts.ended
    this.#queue = new RecordQueue(parts.input, -1)
  }

  get position(): number {
    return this.#position
  }

  get nextTimestamp(): number | null {
    return this.#queue.nextTimestamp
  }

  seek(offset: number): void {
    this.#queue = new RecordQueue(this.input, offset)
    this.#failure = null
    this.#position = offset
    this.#expected = offset
    this.#fetchFrom(offset)
    this.#resume()
  }

  async take(rowsMax: number, signal: AbortSignal): Promise<Taken> {
    const { input } = this
    if (this.#isTaking)
      throw new MillraceError('INTERNAL', `two takes at once from ${input.topic}:${input.partition}`)
    this.#isTaking = true
    try {
      for (;;) {
        signal.throwIfAborted()
        this.ended.throwIfAborted()
        if (this.#failure) throw this.#failure
        const queue = this.#queue
        const { doubtful } = queue
        // A seek meanwhile leaves this queue behind; the next turn sees the new one.
        if (queue.lacks(rowsMax)) await queue.read()
        else if (doubtful !== null) this.#askAgain(doubtful)
        else if (queue.readyRows > 0 || (queue.isEmpty && this.#expected > this.#position)) {
          return this.#takeQueued(rowsMax)
        } else await this.#arrival(signal)
      }
    } finally {
      this.#isTaking = false
    }
  }

  heartbeatAccepted(signal: AbortSignal): Promise<void> {
    return this.#parts.heartbeats.accepted(signal)
  }

  async logRange(): Promise<LogRange> {
    const askedAt = this.#parts.clock.now()
    const range = await this.#parts.log.logRange(this.input.topic, this.input.partition)
    this.#endSeen(range.end, askedAt)
    return range
  }

  offsetAt(timestampMs: number): Promise<number> {
    return this.#parts.log.offsetAt(this.input.topic, this.input.partition, timestampMs)
  }

  /** A fetch arrived. Returns the offset to fetch from next if it was taken over, else null. */
  accept(fetched: Fetched): number | null {
    if (this.ended.aborted || this.#failure) return null
    this.#endSeen(fetched.highWatermark, this.#parts.clock.now())
    this.#stableEndSeen(fetched.stableOffset)
    if (fetched.fetchedOffset !== this.#expected) {
      if (this.#expected >= 0) this.#fetchFrom(this.#expected)
      return null
    }
    const frames = this.#framesOf(fetched)
    const next = (frames.at(-1)?.lastOffset ?? -1) + 1
    if (next <= this.#expected) return null
    this.#queue.push(fetched.bytes, committedFrames(frames, fetched.aborted))
    this.#expected = next
    if (this.#isFull()) this.#pause()
    this.#waiting?.resolve()
    return next
  }

  /** The leader has no record at the expected offset; kafkajs has paused the partition. */
  async outOfRange(): Promise<void> {
    this.#paused = true
    const offset = this.#expected
    const range = await this.logRange().catch(() => null)
    if (this.#expected !== offset) return // sought elsewhere meanwhile
    this.#fail(outOfRangeError(this.input, offset, range))
  }

  /** Empty where none begins: such an answer is asked for once more, and what comes again is the log's. */
  #framesOf({ bytes }: Fetched): readonly Frame[] {
    try {
      return framesOf(bytes)
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error
      const { topic, partition } = this.input
      const message = `${topic}:${partition} from offset ${this.#expected}: ${error.message}`
      if (this.#doubted === message) {
        this.#fail(new MillraceError('KAFKA_LOG_DAMAGED', message, { cause: error }))
      } else {
        this.#doubted = message
        this.#fetchFrom(this.#expected)
      }
      return []
    }
  }

  /** Bytes can be damaged on their way: only what comes twice is what stands in the log. */
  #askAgain({ offset, unreadable }: RawRecord): void {
    const doubted = `${offset} ${unreadable?.digest}`
    if (this.#doubted === doubted) this.#queue.pass()
    else {
      this.#doubted = doubted
      this.seek(this.#position)
    }
  }

  #fail(failure: MillraceError): void {
    this.#failure = failure
    this.#queue = new RecordQueue(this.input, this.#expected)
    this.#waiting?.reject(failure)
  }

  #endSeen(end: number, at: number): void {
    this.highWatermark = end
    this.highWatermarkAt = at
  }

  #stableEndSeen(offset: number): void {
    if (offset < 0) return
    const before = this.stableEnd
    const since = before?.offset === offset ? before.heldSinceMs : null
    this.stableEnd = {
      offset,
      heldSinceMs: offset < this.highWatermark ? (since ?? this.highWatermarkAt) : null,
    }
  }

  #takeQueued(rowsMax: number): Taken {
    const records = this.#queue.take(rowsMax)
    this.#position = this.#queue.isEmpty ? this.#expected : this.#queue.next
    if (this.#paused && this.#isHalfEmpty()) this.#resume()
    return { records, next: this.#position }
  }

  /** Waits until `accept` or `outOfRange` brings news, without polling. */
  async #arrival(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiting = { resolve, reject }
    const onAbort = (): void => reject(signal.reason)
    const onEnded = (): void => reject(this.ended.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    this.ended.addEventListener('abort', onEnded, { once: true })
    try {
      await promise
    } finally {
      signal.removeEventListener('abort', onAbort)
      this.ended.removeEventListener('abort', onEnded)
      this.#waiting = null
    }
  }

  #isFull(): boolean {
    const { queuedRowsMax, queuedBytesMax } = this.#parts.limits
    return this.#queue.rows >= queuedRowsMax || this.#queue.bytes >= queuedBytesMax
  }

  #isHalfEmpty(): boolean {
    const { queuedRowsMax, queuedBytesMax } = this.#parts.limits
    return this.#queue.rows * 2 <= queuedRowsMax && this.#queue.bytes * 2 <= queuedBytesMax
  }

  #fetchFrom(offset: number): void {
    const { topic, partition } = this.input
    if (!this.ended.aborted) this.#parts.group.seek({ topic, partition, offset: String(offset) })
  }

  #pause(): void {
    const { topic, partition } = this.input
    this.#paused = true
    this.#parts.group.pause([{ topic, partitions: [partition] }])
  }

  #resume(): void {
    const { topic, partition } = this.input
    this.#paused = false
    if (!this.ended.aborted) this.#parts.group.resume([{ topic, partitions: [partition] }])
  }
}

function outOfRangeError(input: InputPartition, offset: number, range: LogRange | null): MillraceError {
  const place = `offset ${offset} of ${input.topic}:${input.partition}`
  if (!range)
    return new MillraceError('OFFSET_BELOW_LOG', `${place} is outside the log, whose range is unknown`)
  if (offset > range.end) {
    return new MillraceError('OFFSET_FOREIGN', `${place} is beyond the end of the log, ${range.end}`)
  }
  return new MillraceError('OFFSET_BELOW_LOG', `${place} is gone: the log is [${range.start}, ${range.end})`)
}
