/**
 * Records as columns, made once and filled again and again: offset and timestamp as numbers, key, value and headers as
 * ranges of `bytes`. All records of one filling lie in the same bytes.
 */
export interface RecordColumns {
  /** Records that are filled in. */
  length: number
  bytes: Buffer
  readonly offset: Float64Array
  readonly timestamp: Float64Array
  /** −1: the record has no key. */
  readonly keyStart: Int32Array
  readonly keyEnd: Int32Array
  /** −1: the record has no value. */
  readonly valueStart: Int32Array
  readonly valueEnd: Int32Array
  /** Number of headers. */
  readonly headers: Int32Array
  /** Of the first header's name length; the headers end where `headersEnd` says. */
  readonly headersStart: Int32Array
  readonly headersEnd: Int32Array
}

/** The records of one frame, read some at a time. */
export interface RecordReader {
  /** Records that are left, as the frame says. */
  readonly left: number
  /**
   * Fills the columns with the next records that have at least `fromOffset`, as many as there is room for. Throws
   * Unreadable at the first that is damaged, with those before it filled in.
   */
  read(columns: RecordColumns, fromOffset: number): void
}

export function createColumns(rowsMax: number): RecordColumns {
  const ints = (): Int32Array => new Int32Array(rowsMax)
  return {
    length: 0,
    bytes: Buffer.alloc(0),
    offset: new Float64Array(rowsMax),
    timestamp: new Float64Array(rowsMax),
    keyStart: ints(),
    keyEnd: ints(),
    valueStart: ints(),
    valueEnd: ints(),
    headers: ints(),
    headersStart: ints(),
    headersEnd: ints(),
  }
}
