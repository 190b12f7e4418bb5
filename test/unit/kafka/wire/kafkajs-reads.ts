import { registerCodecs } from '../../../../src/kafka/codecs.ts'
import type { AbortedTransaction } from '../../../../src/kafka/wire/committed-frames.ts'
import { unpatchedTogether } from '../../../support/unpatched-kafkajs.ts'

export interface KafkajsMessage {
  readonly offset: string
  readonly timestamp: string
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: Readonly<Record<string, Buffer | null | readonly (Buffer | null)[]>>
}

const [Decoder, decodeMessages, Batch, compression] = unpatchedTogether([
  'protocol/decoder',
  'protocol/requests/fetch/v4/decodeMessages',
  'consumer/batch',
  'protocol/message/compression',
]) as [
  new (bytes: Buffer) => object,
  (decoder: object) => Promise<readonly KafkajsMessage[]>,
  new (topic: string, from: string, data: object) => { readonly messages: readonly KafkajsMessage[] },
  { readonly Codecs: Record<number, unknown> },
]
registerCodecs(compression.Codecs)

/** What kafkajs as published makes of the records of a fetch response. */
export async function kafkajsReads(
  bytes: Buffer,
  aborted: readonly AbortedTransaction[],
  from: number,
): Promise<readonly KafkajsMessage[]> {
  const length = Buffer.alloc(4)
  length.writeInt32BE(bytes.length)
  const messages = await decodeMessages(new Decoder(Buffer.concat([length, bytes])))
  const abortedTransactions = aborted.map(({ firstOffset, producerId }) => ({
    firstOffset: String(firstOffset),
    producerId: String(producerId),
  }))
  return new Batch('t', String(from), { messages, abortedTransactions, highWatermark: '0' }).messages
}
