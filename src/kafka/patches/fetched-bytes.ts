import type { Broker, Patchable } from '../internals.ts'
import type { FetchedBytes } from '../fetched.ts'

/** One partition's part of a decoded fetch response, as the protocol has it. */
interface PartitionData {
  /** Absent before Kafka 0.11. */
  readonly lastStableOffset?: string
  readonly abortedTransactions?:
    readonly { readonly producerId: string; readonly firstOffset: string }[] | null
  readonly messages: readonly unknown[]
}

interface FetchingBroker extends Broker {
  fetch(request: unknown): Promise<{
    readonly responses: readonly { readonly partitions: readonly PartitionData[] }[]
  }>
}

interface ResponseDecoder {
  readInt32(): number
  canReadBytes(length: number): boolean
  readBytes(length: number): Buffer
}

const bytesOf = new WeakMap<readonly unknown[], Buffer>()
const fetchedOf = new WeakMap<readonly unknown[], FetchedBytes>()
const noBytes = Buffer.alloc(0)

/**
 * P-B. Replaces `requests/fetch/v4/decodeMessages`. kafkajs decodes every record of a response at once: it checks no CRC,
 * has no bound (a batch of 130 000 records overflows the stack, one of many headers takes minutes), ends the consumer
 * over what it cannot read, and filters aborted records wrongly. Here the records stay the bytes they came as, kept by an
 * empty array that kafkajs hands on where it expects messages; `kafka/wire` reads them.
 */
export function keepRecordBytes(decoder: ResponseDecoder): Promise<readonly unknown[]> {
  const length = decoder.readInt32()
  const messages: readonly unknown[] = []
  if (length > 0 && decoder.canReadBytes(length)) bytesOf.set(messages, decoder.readBytes(length))
  return Promise.resolve(messages)
}

/**
 * P-L. Every fetch response tells the last stable offset, where readers of committed records end; kafkajs decodes it and
 * drops it. It also gives aborted transactions to nobody but its own filter. Here both are kept with the bytes.
 */
export function patchFetchedBytes(broker: Patchable<Broker>): void {
  const prototype = broker.prototype as FetchingBroker
  const fetch = prototype.fetch
  prototype.fetch = async function (this: FetchingBroker, request: unknown) {
    const answer = await fetch.call(this, request)
    for (const { partitions } of answer.responses) {
      for (const { lastStableOffset, abortedTransactions, messages } of partitions) {
        fetchedOf.set(messages, {
          bytes: bytesOf.get(messages) ?? noBytes,
          stableOffset: Number(lastStableOffset ?? -1),
          aborted: (abortedTransactions ?? []).map(({ producerId, firstOffset }) => ({
            producerId: Number(producerId),
            firstOffset: Number(firstOffset),
          })),
        })
      }
    }
    return answer
  }
}

/** What came where kafkajs has this array of messages. */
export function fetchedBytes(messages: readonly unknown[]): FetchedBytes {
  return fetchedOf.get(messages) ?? { bytes: noBytes, stableOffset: -1, aborted: null }
}
