import type { Broker, FetchedBatch, Patchable } from '../internals.ts'

/** One partition's part of a decoded fetch response, as the protocol has it. */
interface PartitionData {
  /** Absent before Kafka 0.11. */
  readonly lastStableOffset?: string
  readonly messages: readonly unknown[]
}

interface FetchingBroker extends Broker {
  fetch(request: unknown): Promise<{
    readonly responses: readonly { readonly partitions: readonly PartitionData[] }[]
  }>
}

const stableOffsets = new WeakMap<readonly unknown[], number>()

/**
 * P-L. Every fetch response tells the last stable offset, where readers of committed records end; kafkajs decodes it and
 * drops it. Here it is kept by the array of records, which a batch hands on as it is.
 */
export function patchStableOffsets(broker: Patchable<Broker>): void {
  const prototype = broker.prototype as FetchingBroker
  const fetch = prototype.fetch
  prototype.fetch = async function (this: FetchingBroker, request: unknown) {
    const answer = await fetch.call(this, request)
    for (const { partitions } of answer.responses) {
      for (const { lastStableOffset, messages } of partitions) {
        const offset = Number(lastStableOffset ?? -1)
        if (offset >= 0) stableOffsets.set(messages, offset)
      }
    }
    return answer
  }
}

/** The last stable offset of the response this batch came in; −1: the broker did not say. */
export function stableOffsetOf({ rawMessages }: Pick<FetchedBatch, 'rawMessages'>): number {
  return stableOffsets.get(rawMessages) ?? -1
}
