import type { RawRecord } from '../record/raw-record.ts'
import { offsetBehind } from '../record/raw-record.ts'
import { decompressedBytesMax } from './codecs.ts'
import { rawRecord, unreadableRecord, type LogPlace } from './raw-record.ts'
import type { Frame } from './wire/read-frames.ts'
import { openFrame } from './wire/read-records.ts'
import { createColumns, type RecordReader } from './wire/record-columns.ts'
import { Unreadable } from './wire/unreadable.ts'

/** Object, offset and timestamps beside key and value; measured order of magnitude on V8. */
const recordOverheadBytes = 200
/** Bytes of keys and values in records that are made ahead of a take. */
const readyBytesMax = 4 * 1024 * 1024
/** Filled and emptied within one turn, so one set serves all queues. */
const columns = createColumns(256)

interface Queued {
  readonly bytes: Buffer
  readonly frame: Frame
}

/**
 * Fetched frames of one partition in offset order, and the records that were read of the first of them. Frames are checked,
 * decompressed and read one at a time and as far as somebody takes: a batch of a hundred thousand records, or one that
 * grows a hundredfold, costs no more at once than what is taken of it.
 */
export class RecordQueue {
  readonly #place: LogPlace
  /** Records below are no longer wanted. */
  readonly #from: number
  #frames: Queued[] = []
  #head = 0
  #reader: RecordReader | null = null
  #ready: RawRecord[] = []
  #taken = 0
  #readyBytes = 0
  #rows = 0
  /** Of them in the first frame; null: as it says. */
  #headRows: number | null = null
  #bytes = 0
  #doubtful: RawRecord | null = null
  #next: number

  /** Starts at the offset `from`. */
  constructor(place: LogPlace, from: number) {
    this.#place = place
    this.#from = from
    this.#next = from
  }

  /** Records that are left, as their batches say. */
  get rows(): number {
    return this.#rows + this.readyRows
  }
  get bytes(): number {
    return this.#bytes + this.#readyBytes
  }
  get readyRows(): number {
    return this.#ready.length - this.#taken
  }
  get isEmpty(): boolean {
    return this.readyRows === 0 && this.#head >= this.#frames.length
  }
  /** Offset behind everything taken, and behind what lies there without being a record; less than the end while records are left. */
  get next(): number {
    return this.#next
  }
  /** Of the record that the next `take` returns first, as far as is known without decompressing; null: nothing is queued. */
  get nextTimestamp(): number | null {
    return this.#ready[this.#taken]?.timestamp ?? this.#frames[this.#head]?.frame.baseTimestamp ?? null
  }
  /** What stands first and was not what its checksum says: to be fetched once more, or passed. */
  get doubtful(): RawRecord | null {
    return this.readyRows === 0 ? this.#doubtful : null
  }

  push(bytes: Buffer, frames: readonly Frame[]): void {
    for (const frame of frames) {
      this.#frames.push({ bytes, frame })
      this.#rows += frame.count
      this.#bytes += frame.end - frame.start
    }
  }

  /** Whether `read` would make more records ready for a take of so many rows. */
  lacks(rowsMax: number): boolean {
    if (this.#doubtful !== null || this.#head >= this.#frames.length) return false
    return this.readyRows < rowsMax && this.#readyBytes < readyBytesMax
  }

  /** Makes records ready, of one frame at most. */
  async read(): Promise<void> {
    const queued = this.#frames[this.#head]
    if (queued === undefined) return
    const { bytes, frame } = queued
    try {
      if (this.#reader === null) {
        const opened = openFrame(bytes, frame, decompressedBytesMax)
        this.#reader = opened instanceof Promise ? await opened : opened
      }
      this.#readSome(this.#reader, frame)
      if (this.#reader.left > 0) return
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error
      this.#readySoFar()
      const offset = Math.max(this.#from, frame.firstOffset, this.#lastReady())
      const record = unreadableRecord(this.#place, bytes, frame, offset, error)
      if (record.unreadable?.isDoubtful) {
        this.#doubtful = record
        return
      }
      this.#add(record)
    }
    this.#close()
  }

  /** Removes and returns the first `rowsMax` ready records, or all. */
  take(rowsMax: number): readonly RawRecord[] {
    const taken = this.#ready.slice(this.#taken, this.#taken + rowsMax)
    for (const record of taken) this.#readyBytes -= bytesOf(record)
    this.#taken += taken.length
    // Keeps the cost of a take proportional to what it takes, and the memory to what is queued.
    if (this.#taken * 2 >= this.#ready.length) {
      this.#ready = this.#ready.slice(this.#taken)
      this.#taken = 0
    }
    const last = taken.at(-1)
    if (last !== undefined) this.#next = Math.max(this.#next, offsetBehind(last))
    return taken
  }

  /** Gives up what is doubtful: its place is taken like a record. */
  pass(): void {
    if (this.#doubtful === null) return
    this.#add(this.#doubtful)
    this.#doubtful = null
    this.#close()
  }

  #readSome(reader: RecordReader, frame: Frame): void {
    const { left } = reader
    try {
      reader.read(columns, this.#from)
    } finally {
      const headRows = this.#headRows ?? frame.count
      const read = Math.min(headRows, left - reader.left)
      this.#headRows = headRows - read
      this.#rows -= read
    }
    this.#readySoFar()
  }

  /** What the columns hold becomes records. */
  #readySoFar(): void {
    for (let row = 0; row < columns.length; row++) this.#add(rawRecord(this.#place, columns, row))
    columns.length = 0
  }

  #add(record: RawRecord): void {
    this.#ready.push(record)
    this.#readyBytes += bytesOf(record)
  }

  #lastReady(): number {
    const last = this.#ready.at(-1)
    return last === undefined ? this.#next : offsetBehind(last)
  }

  /** The first frame is done with. */
  #close(): void {
    const { frame } = this.#frames[this.#head++] as Queued
    this.#bytes -= frame.end - frame.start
    this.#rows -= this.#headRows ?? frame.count
    this.#headRows = null
    this.#reader = null
    if (this.#head * 2 >= this.#frames.length) {
      this.#frames = this.#frames.slice(this.#head)
      this.#head = 0
    }
  }
}

function bytesOf({ key, value, headerSize }: RawRecord): number {
  return (key?.length ?? 0) + (value?.length ?? 0) + (headerSize?.bytes ?? 0) + recordOverheadBytes
}
