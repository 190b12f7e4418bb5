export type HeaderValue = Buffer | string
export type Headers = Readonly<Record<string, HeaderValue | readonly HeaderValue[] | undefined>>

/** A Kafka record as fetched. Offsets are safe integers (2^53 records are 285 years at a million a second). */
export interface RawRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** Record timestamp, epoch milliseconds. */
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: Headers
}
