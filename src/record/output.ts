import type { Headers } from './raw-record.ts'

export type OutputKind = 'prediction' | 'alert' | 'dead-letter'

/** A record ready to be produced. The partition is always explicit (kafkajs's partitioner runs again on retries). */
export interface OutputRecord {
  readonly kind: OutputKind
  readonly topic: string
  readonly partition: number
  readonly key: Buffer | null
  readonly value: Buffer | string | null
  /** Of `value` in UTF-8, where whoever made it has counted them. */
  readonly valueBytes?: number
  readonly headers: Headers | undefined
}
