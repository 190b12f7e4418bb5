export interface KafkaPlan {
  readonly brokers: readonly string[]
  readonly clientId: string
  readonly group: string
  readonly sessionTimeoutMs: number
  readonly transactionTimeoutMs: number
  /** Passed to kafkajs as they are. */
  readonly ssl: boolean | Readonly<Record<string, unknown>>
  readonly sasl: Readonly<Record<string, unknown>> | null
}
