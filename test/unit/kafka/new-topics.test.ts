import { expect, test, vi } from 'vitest'
import { createTopics } from '../../../src/kafka/new-topics.ts'
import { manualClock } from '../../../src/time/manual-clock.ts'

const topics = [{ topic: 'a' }, { topic: 'b' }]

function brokerThatAnswers(...errors: readonly string[]) {
  const clock = manualClock()
  const fetchTopicMetadata = vi.fn(async () => ({ topics: [] }))
  for (const type of errors)
    fetchTopicMetadata.mockRejectedValueOnce(Object.assign(new Error(type), { type }))
  const create = vi.fn(async () => true)
  return { clock, fetchTopicMetadata, create, admin: { createTopics: create, fetchTopicMetadata } }
}

test('new topics are there when the broker that answers knows them and their leaders', async () => {
  const { clock, admin, create, fetchTopicMetadata } = brokerThatAnswers(
    'UNKNOWN_TOPIC_OR_PARTITION',
    'LEADER_NOT_AVAILABLE',
  )
  const created = createTopics(admin, topics, clock)
  await clock.advance(100)
  await created
  expect(create).toHaveBeenCalledExactlyOnceWith({ topics, waitForLeaders: false })
  expect(fetchTopicMetadata).toHaveBeenCalledTimes(3)
})

test('any other answer, and one that does not come in 10 s, is told', async () => {
  const refused = brokerThatAnswers('TOPIC_AUTHORIZATION_FAILED')
  await expect(createTopics(refused.admin, topics, refused.clock)).rejects.toThrow(
    'TOPIC_AUTHORIZATION_FAILED',
  )
  const never = brokerThatAnswers()
  const unknown = Object.assign(new Error('UNKNOWN_TOPIC_OR_PARTITION'), {
    type: 'UNKNOWN_TOPIC_OR_PARTITION',
  })
  never.fetchTopicMetadata.mockRejectedValue(unknown)
  const created = createTopics(never.admin, topics, never.clock)
  const failed = expect(created).rejects.toThrow('UNKNOWN_TOPIC_OR_PARTITION')
  await never.clock.advance(10_000)
  await failed
  const slow = brokerThatAnswers()
  slow.fetchTopicMetadata.mockImplementation(async () => {
    await slow.clock.sleep(9_000) // kafkajs asks many times before it tells that there is no leader
    throw unknown
  })
  const waited = expect(createTopics(slow.admin, topics, slow.clock)).rejects.toThrow(unknown.message)
  await slow.clock.advance(20_000)
  await waited
  expect(slow.fetchTopicMetadata).toHaveBeenCalledTimes(2)
})
