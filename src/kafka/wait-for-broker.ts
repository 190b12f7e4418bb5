import type { Log } from '../telemetry/log.ts'
import type { Clock } from '../time/clock.ts'
import { MillraceError } from '../errors.ts'
import { kafkaConfig } from './client.ts'
import { kafkaError, textOf } from './errors.ts'
import { Kafka } from './kafkajs.ts'
import type { KafkaPlan } from './plan.ts'

export interface BrokerWait {
  readonly plan: KafkaPlan
  readonly clock: Clock
  readonly log: Log
  /** How long to go on trying. */
  readonly startWaitMs: number
  readonly signal?: AbortSignal
  /** Called after every failed attempt. */
  readonly onWaiting?: (waitedMs: number, reason: string) => void
}

/** Between attempts: 200 ms growing to 2 s. */
const pauseMinMs = 200
const pauseMaxMs = 2_000

/**
 * Resolves when a broker has accepted the connection and the credentials. Throws KAFKA_UNREACHABLE after
 * `startWaitMs`, and KAFKA_UNAUTHORISED at once: waiting does not make a password right.
 */
export async function waitForBroker(wait: BrokerWait): Promise<void> {
  const { plan, clock, startWaitMs, signal } = wait
  const startedAt = clock.monotonic()
  for (let pauseMs = pauseMinMs; ; pauseMs = Math.min(2 * pauseMs, pauseMaxMs)) {
    signal?.throwIfAborted()
    const failure = await tryOnce(plan, wait.log)
    if (!failure) return
    if (failure.code === 'KAFKA_UNAUTHORISED') throw failure
    const waitedMs = Math.round(clock.monotonic() - startedAt)
    if (waitedMs >= startWaitMs) {
      throw new MillraceError(
        'KAFKA_UNREACHABLE',
        `no broker of ${plan.brokers.join(', ')} answered within ${waitedMs} ms: ${textOf(failure)}`,
        { cause: failure.cause },
      )
    }
    wait.onWaiting?.(waitedMs, textOf(failure))
    await clock.sleep(Math.min(pauseMs, startWaitMs - waitedMs), signal)
  }
}

async function tryOnce(plan: KafkaPlan, log: Log): Promise<MillraceError | null> {
  // As many tries as brokers: kafkajs takes the next one of the list for each.
  const retry = { retries: plan.brokers.length - 1, initialRetryTime: 1, maxRetryTime: 1 }
  const admin = new Kafka(kafkaConfig(plan, log, { retry })).admin()
  try {
    await admin.connect()
    await admin.describeCluster()
    return null
  } catch (error) {
    return kafkaError(error, `connecting to ${plan.brokers.join(', ')}`)
  } finally {
    await admin.disconnect().catch(() => {}) // nothing was asked of it
  }
}
