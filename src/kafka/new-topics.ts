import type { Admin, ITopicConfig } from 'kafkajs'
import type { Clock } from '../time/clock.ts'
import { isProtocolError } from './errors.ts'

const lookEveryMs = 50
const waitMaxMs = 10_000

/**
 * Creates topics and waits until the broker that answers knows all of them and their leaders; no look begins after 10 s.
 * kafkajs waits for leaders only: asked a moment after the controller made a topic, a broker may not know it, and the
 * creation failed.
 */
export async function createTopics(
  admin: Pick<Admin, 'createTopics' | 'fetchTopicMetadata'>,
  topics: ITopicConfig[],
  clock: Clock,
): Promise<void> {
  await admin.createTopics({ topics, waitForLeaders: false })
  const names = topics.map(({ topic }) => topic)
  const giveUpAt = clock.monotonic() + waitMaxMs
  for (;;) {
    try {
      await admin.fetchTopicMetadata({ topics: names })
      return
    } catch (error) {
      const isNew = isProtocolError(error, 'UNKNOWN_TOPIC_OR_PARTITION', 'LEADER_NOT_AVAILABLE')
      if (!isNew || clock.monotonic() >= giveUpAt) throw error
    }
    await clock.sleep(lookEveryMs)
  }
}
