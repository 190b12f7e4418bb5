export type CodecPlan = JsonCodecPlan | AvroCodecPlan

export interface JsonCodecPlan {
  readonly kind: 'json'
  /** Parsed JSON Schema (draft 2020-12 or 07). */
  readonly schema: object
  readonly schemaPath: string
}

export interface AvroCodecPlan {
  readonly kind: 'avro'
  readonly subject: string
  /** Reader schema, parsed. */
  readonly reader: object
  /** Schema ids that will never be registered: such records are dead-lettered instead of waited for. */
  readonly giveUpIds: readonly number[]
}

export interface SourcePlan {
  readonly name: string
  readonly role: 'score' | 'state'
  readonly topic: string
  readonly codec: CodecPlan
  readonly idField: string
  readonly keyField: string
  readonly timeField: string
  readonly timeFormat: 'epochMs' | 'iso'
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
}
