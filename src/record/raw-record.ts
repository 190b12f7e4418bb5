export type HeaderValue = Buffer | string
/**
 * Bytes only where they are no UTF-8, so that names can be compared as text and still nothing is lost. A value of null: the
 * header has none.
 */
export type Header = readonly [name: string | Buffer, value: HeaderValue | null]
/** In order; names may repeat. Never an object by name: names come from anywhere (`__proto__`). */
export type Headers = readonly Header[]

/** A Kafka record as fetched. Offsets are safe integers (2^53 records are 285 years at a million a second). */
export interface RawRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** Record timestamp, epoch milliseconds. */
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  /** Of a fetched record they are decoded when somebody reads this. */
  readonly headers: Headers
  /** What the headers are, known without decoding them; absent: as `headers` says. */
  readonly headerSize?: HeaderSize
  /** Set: no record, but the place of records that cannot be read; it has neither key nor value. */
  readonly unreadable?: UnreadableRecords
}

export interface HeaderSize {
  readonly count: number
  /** Of names and values with their lengths. */
  readonly bytes: number
}

/** Records of one batch, from the offset of the record that stands for them. */
export interface UnreadableRecords {
  readonly lastOffset: number
  /** Size of the batch in the log. */
  readonly bytes: number
  /** Of the batch in the log: `sha256:` and hex. */
  readonly digest: string
  /** One line: what was found. */
  readonly message: string
  /** Whether only the bytes that came differ from their checksum: those in the log may be right. */
  readonly isDoubtful: boolean
}

/** Offset behind a record, or behind all that it stands for. */
export function offsetBehind({ offset, unreadable }: RawRecord): number {
  return (unreadable?.lastOffset ?? offset) + 1
}
