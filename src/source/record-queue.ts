import type { RawRecord } from '../record/raw-record.ts'

/** Objects of the record, of its headers and of two buffers, beside their bytes: a heap snapshot with 85 000 records on Node 24. */
const recordOverheadBytes = 370

/** Fetched records of one partition that nobody has taken yet, in offset order. Counts rows and bytes. */
export class RecordQueue {
  #records: RawRecord[] = []
  #head = 0
  #bytes = 0

  get rows(): number {
    return this.#records.length - this.#head
  }

  get bytes(): number {
    return this.#bytes
  }

  /** The record that the next `take` returns first. */
  get first(): RawRecord | undefined {
    return this.#records[this.#head]
  }

  push(record: RawRecord): void {
    this.#records.push(record)
    this.#bytes += bytesOf(record)
  }

  /** Removes and returns the first `rowsMax` records, or all. */
  take(rowsMax: number): readonly RawRecord[] {
    const taken = this.#records.slice(this.#head, this.#head + rowsMax)
    for (const record of taken) this.#bytes -= bytesOf(record)
    this.#head += taken.length
    // Keeps the cost of a take proportional to what it takes, and the memory to what is queued.
    if (this.#head * 2 >= this.#records.length) {
      this.#records = this.#records.slice(this.#head)
      this.#head = 0
    }
    return taken
  }

  clear(): void {
    this.#records = []
    this.#head = 0
    this.#bytes = 0
  }
}

function bytesOf({ key, value }: RawRecord): number {
  return (key?.length ?? 0) + (value?.length ?? 0) + recordOverheadBytes
}
