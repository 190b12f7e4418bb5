import { openKafkaClient } from '../kafka/client.ts'
import { createTopics } from '../service/topics.ts'
import { quietLog } from '../telemetry/log.ts'
import { systemClock } from '../time/system-clock.ts'
import { loadTopology } from '../topology/load.ts'

/** Creates the topics of a topology on a development broker; returns those that were missing. */
export async function createTopicsOf(file: string, brokers: string): Promise<readonly string[]> {
  const plan = await loadTopology(file, { ...process.env, MILLRACE_BROKERS: brokers })
  const client = openKafkaClient({
    plan: { ...plan.kafka, brokers: brokers.split(',') },
    clock: systemClock,
    log: quietLog,
  })
  try {
    return await createTopics(plan, client.admin)
  } finally {
    await client.close()
  }
}
