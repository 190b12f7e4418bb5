import { openKafkaClient } from '../kafka/client.ts'
import { waitForBroker } from '../kafka/wait-for-broker.ts'
import { createTopics } from '../service/topics.ts'
import { quietLog } from '../telemetry/log.ts'
import { systemClock } from '../time/system-clock.ts'
import { loadTopology } from '../topology/load.ts'
import type { Plan } from '../topology/plan.ts'

export interface TopicCreation {
  /** Of each new topic; topics that exist keep theirs. */
  readonly partitions?: number
  readonly signal?: AbortSignal
  readonly report?: (line: string) => void
}

/** Creates the topics of a topology on a development broker; returns those that were missing. */
export async function createTopicsOf(file: string, brokers: string): Promise<readonly string[]> {
  const plan = await loadTopology(
    file,
    { ...process.env, MILLRACE_BROKERS: brokers },
    { model: 'optional' }, // topics do not depend on it, and it may come later
  )
  return createTopicsOfPlan({ ...plan, kafka: { ...plan.kafka, brokers: brokers.split(',') } })
}

/** Waits for the broker as long as the service would; returns the topics that were missing. */
export async function createTopicsOfPlan(plan: Plan, wanted: TopicCreation = {}): Promise<readonly string[]> {
  const { partitions, signal, report } = wanted
  await waitForBroker({
    plan: plan.kafka,
    clock: systemClock,
    log: quietLog,
    startWaitMs: plan.limits.startWaitMs,
    ...(signal ? { signal } : {}),
    onWaiting: (_, reason) => report?.(`Kafka does not answer yet: ${reason}`),
  })
  const client = openKafkaClient({ plan: plan.kafka, clock: systemClock, log: quietLog })
  try {
    return await createTopics(plan, client.admin, partitions)
  } finally {
    await client.close()
  }
}
