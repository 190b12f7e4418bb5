/**
 * A broker that is away is waited for this long: longer than a cluster needs to notice a dead one (9 s by default) and to
 * choose other leaders and coordinators.
 */
export const awayMaxMs = 30_000

/** kafkajs starts a consumer anew at once that fails with this name, if the first cause may pass. */
export class NoBrokerAvailable extends Error {
  override readonly name = 'KafkaJSNoBrokerAvailableError'
  readonly retriable = true
}
