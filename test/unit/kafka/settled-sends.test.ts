import { expect, test } from 'vitest'
import { settleSends, type SendParts } from '../../../src/kafka/patches/settled-sends.ts'
import { unpatched } from '../../support/unpatched-kafkajs.ts'

interface Parts extends SendParts {
  readonly cluster: object
  readonly partitioner: () => number
  readonly logger: object
}
type Send = (request: object) => Promise<readonly { readonly partition: number }[]>

const original = unpatched<(parts: Parts) => Send>('producer/sendMessages')

/** A send to two brokers, of which the second refuses once while the first has not answered yet. */
async function send(create: (parts: Parts) => Send): Promise<{ sent: number[][]; acknowledged: number[] }> {
  const { promise: answered, resolve: answer } = Promise.withResolvers<void>()
  const sent: number[][] = []
  const sequences = new Map<number, number>()
  let refusals = 1
  const broker = (nodeId: number) => ({
    nodeId,
    produce: async ({ topicData }: { topicData: { partitions: { firstSequence: number }[] }[] }) => {
      sent.push([nodeId, topicData[0]?.partitions[0]?.firstSequence ?? -1])
      if (nodeId === 0) await answered
      return { topics: [{ topicName: 't', partitions: [{ partition: nodeId, errorCode: 0 }] }] }
    },
  })
  const brokers = [broker(0), broker(1)]
  const eosManager = {
    acquireBrokerLock: async () => {},
    releaseBrokerLock: () => {},
    isTransactional: () => true,
    getTransactionalId: () => 'id',
    getProducerId: () => 1,
    getProducerEpoch: () => 0,
    addPartitionsToTransaction: async ([{ partitions }]: [{ partitions: { partition: number }[] }]) => {
      if (partitions[0]?.partition === 1 && refusals-- > 0) {
        throw Object.assign(new Error('CONCURRENT_TRANSACTIONS'), { retriable: true })
      }
    },
    getSequence: (_: string, partition: number) => sequences.get(partition) ?? 0,
    updateSequence: (_: string, partition: number, by: number) =>
      void sequences.set(partition, (sequences.get(partition) ?? 0) + by),
  }
  const cluster = {
    refreshMetadataIfNecessary: async () => {},
    refreshMetadata: async () => {},
    addMultipleTargetTopics: async () => {},
    isConnected: () => true,
    findTopicPartitionMetadata: () => [{ partitionId: 0 }, { partitionId: 1 }],
    findLeaderForPartitions: () => ({ 0: [0], 1: [1] }),
    findBroker: async ({ nodeId }: { nodeId: string }) => brokers[Number(nodeId)],
  }
  const retrier: SendParts['retrier'] = async (attempt) => {
    for (let tries = 0; ; tries++) {
      try {
        return await attempt(() => {}, tries, 0)
      } catch (error) {
        if (tries > 3) throw error
      }
    }
  }
  const parts = { eosManager, cluster, retrier, logger: { error: () => {}, debug: () => {} } }
  const partitioner = ({ message }: { message: { partition: number } }) => message.partition
  const request = {
    acks: -1,
    timeout: 1_000,
    topicMessages: [{ topic: 't', messages: [{ partition: 0 }, { partition: 1 }] }],
  }
  const sending = create({ ...parts, partitioner } as unknown as Parts)(request)
  setImmediate(answer) // later than a retry at once
  const acknowledged = await sending
  return { sent, acknowledged: acknowledged.map(({ partition }) => partition) }
}

test('a refusal of one broker does not send to the others again (as published: written twice)', async () => {
  const published = await send(original)
  expect(published.sent).toEqual([
    [0, 0],
    [0, 1],
    [1, 0],
  ])
  const patched = await send(settleSends(original))
  expect(patched.sent).toEqual([
    [0, 0],
    [1, 0],
  ])
  expect(patched.acknowledged).toEqual([0, 1])
})
