export type CodecPlan = JsonCodecPlan | AvroCodecPlan

export interface JsonCodecPlan {
  readonly kind: 'json'
  /** Parsed JSON Schema (draft 2020-12 or 07). */
  readonly schema: object
  readonly schemaPath: string
  /** The schema with its whole numbers beyond ±(2^53 − 1) as bigints; absent: it has none. */
  readonly exactSchema?: object
  /** Present: every value begins with the five bytes of a schema registry. */
  readonly framed?: { readonly giveUpIds: readonly number[] }
}

export interface AvroCodecPlan {
  readonly kind: 'avro'
  readonly subject: string
  /** Reader schema, parsed. */
  readonly reader: object
  /** Schema ids that will never be registered: such records are dead-lettered instead of waited for. */
  readonly giveUpIds: readonly number[]
}

/** Unit of a number counted from 1970, or RFC 3339 text. */
export type TimeFormat = 'epochMs' | 'epochS' | 'epochUs' | 'epochNs' | 'iso'

export interface SourcePlan {
  readonly name: string
  readonly role: 'score' | 'state'
  readonly topic: string
  readonly codec: CodecPlan
  /** Names of fields as `fieldAt` takes them: `id`, or `after.id`. */
  readonly idField: string
  readonly keyField: string
  readonly timeField: string
  readonly timeFormat: TimeFormat
  /** Members at the top of the event that anything reads; null or absent: any may be read. Others may be left out. */
  readonly fieldsRead?: readonly string[] | null
  readonly start: 'earliest' | 'latest' | number
  readonly outOfOrderMs: number
  /**
   * How far an event may lie behind the largest event time read before it, as far as anybody said; null: any distance,
   * so that only who has read to the end of the log has read all up to a time.
   */
  readonly disorderMaxMs: number | null
  /** null: horizon (accept while any window can still see the event). */
  readonly allowedLatenessMs: number | null
  readonly late: 'score' | 'drop-state' | 'dead-letter'
  readonly alignMs: number
  readonly limits: DecodeLimits
}

export interface DecodeLimits {
  readonly recordMaxBytes: number
  /** Event time later than the record timestamp by more: dead letter TIMESTAMP. */
  readonly futureMaxMs: number
  /**
   * What becomes of an event time that lies decades before the record's and would be near it in another unit; absent:
   * refuse.
   */
  readonly implausibleTime?: 'refuse' | 'accept'
}
