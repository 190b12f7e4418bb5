import { createCluster, exchange } from '../../src/kafka/raw-cluster.ts'
import { Reader, Writer } from '../../src/kafka/wire-types.ts'

const produce = { apiKey: 0, apiVersion: 7, apiName: 'Produce' }

/** Writes a record batch to a partition as it is, which no client would have made. Returns the offset of its first record. */
export async function produceRaw(
  kafka: object,
  place: { readonly topic: string; readonly partition: number },
  batch: Buffer,
): Promise<number> {
  const cluster = createCluster(kafka)
  try {
    await cluster.connect()
    await cluster.addMultipleTargetTopics([place.topic])
    const [nodeId = ''] = cluster.getNodeIds() // the test server is one broker
    const broker = await cluster.findBroker({ nodeId })
    const request = new Writer()
      .raw(Buffer.from([0xff, 0xff])) // no transactional id
      .raw(Buffer.from([0xff, 0xff])) // acks: all
      .int32(30_000)
      .int32(1)
      .text(place.topic)
      .int32(1)
      .int32(place.partition)
      .int32(batch.length)
      .raw(batch)
    return await exchange(broker, produce, request.bytes, (payload) => {
      const answer = new Reader(payload)
      answer.int32()
      answer.text()
      answer.int32()
      answer.int32()
      const error = answer.int16()
      if (error !== 0) throw new Error(`the broker refuses the batch with error ${error}`)
      return Number(answer.int64())
    })
  } finally {
    await cluster.disconnect()
  }
}
