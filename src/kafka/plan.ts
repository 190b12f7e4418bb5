export interface KafkaPlan {
  readonly brokers: readonly string[]
  readonly clientId: string
  /** Unique name of this process in the group, part of `clientId`; null: it has none. */
  readonly instance: string | null
  readonly group: string
  readonly sessionTimeoutMs: number
  readonly transactionTimeoutMs: number
  /** Passed to kafkajs as they are. */
  readonly ssl: boolean | Readonly<Record<string, unknown>>
  readonly sasl: Readonly<Record<string, unknown>> | null
}

/** What processes of one topology have in common: the client id without the name of the process. */
export function clientIdBase({ clientId, instance }: Pick<KafkaPlan, 'clientId' | 'instance'>): string {
  return instance === null ? clientId : clientId.slice(0, -`@${instance}`.length)
}
