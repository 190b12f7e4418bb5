import { describe, expect, test } from 'vitest'
import { createPartitionOf, sendAll } from '../../../src/kafka/plain-producer.ts'

describe('the partition of a key', () => {
  // Values of org.apache.kafka.common.utils.Utils.murmur2 in Kafka's own UtilsTest, made positive.
  test.each([
    ['21', -973_932_308],
    ['foobar', -790_332_482],
    ['a-little-bit-long-string', -985_981_536],
    ['a-little-bit-longer-string', -1_486_304_829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58_897_971],
    ['abc', 479_470_107],
  ])('%s is where the Java client puts it', (key, hash) => {
    const partitionOf = createPartitionOf(new Map([['t', 7]]))
    expect(partitionOf('t', key)).toBe((hash & 0x7fffffff) % 7)
    expect(partitionOf('t', key)).toBe((hash & 0x7fffffff) % 7)
  })

  test('of a topic that was not opened is a mistake of the caller', () => {
    expect(() => createPartitionOf(new Map())('t', 'k')).toThrow(/topic t was not opened/)
  })
})

describe('sending', () => {
  const message = (partition: number) => ({ key: 'k', value: 'v', partition })

  test('sends again what was left out, and only that', async () => {
    const writes: string[][] = []
    await sendAll(
      [
        { topic: 'a', messages: [message(0), message(1)] },
        { topic: 'b', messages: [message(0)] },
      ],
      (topicMessages) => {
        const sent = topicMessages.flatMap(({ topic, messages }) =>
          messages.map((m) => `${topic}:${m.partition}`),
        )
        writes.push(sent)
        return Promise.resolve([
          { topicName: 'a', partition: writes.length - 1 },
          { topicName: 'b', partition: 0 },
        ])
      },
    )
    expect(writes).toEqual([['a:0', 'a:1', 'b:0'], ['a:1']])
  })

  test('gives up when partitions are left out again and again', async () => {
    const sending = sendAll([{ topic: 'a', messages: [message(0)] }], () => Promise.resolve([]))
    await expect(sending).rejects.toMatchObject({ code: 'KAFKA_UNREACHABLE' })
  })

  test('of nothing writes nothing', async () => {
    const sending = sendAll([{ topic: 'a', messages: [] }], () => Promise.reject(new Error('written')))
    await expect(sending).resolves.toBeUndefined()
  })

  test('names the topics of a failure', async () => {
    const sending = sendAll([{ topic: 'a', messages: [message(0)] }], () =>
      Promise.reject(new Error('refused')),
    )
    await expect(sending).rejects.toThrow(/writing to a: refused/)
  })
})
