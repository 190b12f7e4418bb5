import { parseWatermark } from '../../src/pipeline/watermark.ts'
import { systemClock } from '../../src/time/system-clock.ts'
import { commitProblems, readCommits } from '../support/commit-log.ts'
import { fold } from '../support/judge-features.ts'
import { problemsOf } from '../support/judge.ts'
import { stateProblems } from '../support/judge-state.ts'
import { haveReached, logEnds } from '../support/log-ends.ts'
import { readOutputs } from '../support/outputs.ts'
import { readCommitted } from '../support/referee.ts'
import type { FaultWorld } from './fault-world.ts'
import { bucketsOf } from './scenario.ts'

export interface Verdict {
  readonly violations: readonly string[]
  /** Records of the scored topic that were judged. */
  readonly events: number
  readonly predictions: number
  readonly alerts: number
  readonly deadLetters: number
  readonly commits: number
  /** From the end of the traffic until everything was committed, ms. */
  readonly drainedMs: number
}

/** I8: after the faults everything is committed within this. */
const drainMaxMs = 60_000

/** Ends the traffic and the processes, then reads all logs once and judges them. */
export async function judge(world: FaultWorld): Promise<Verdict> {
  const { violations } = world // the watch goes on while the rest is worked off
  await world.traffic.stop()
  const stoppedAt = systemClock.monotonic()
  let trouble = ''
  // A look that fails is one too early: a broker or Redis that was just hurt may still refuse.
  const patient = (look: (world: FaultWorld) => Promise<boolean>) => (): Promise<boolean> =>
    look(world).catch((error: unknown) => {
      trouble = `; last trouble: ${error instanceof Error ? error.message : String(error)}`
      return false
    })
  try {
    await world.until('everything is committed (I8)', patient(isCommitted), drainMaxMs)
    await world.until('everything is in Redis (I8)', patient(isFlushed), drainMaxMs)
    await world.until('no transaction is open in an output topic (I8)', patient(isStable), drainMaxMs)
  } catch (error) {
    violations.push(`I8: ${String(error)}${trouble}`)
  }
  const drainedMs = systemClock.monotonic() - stoppedAt
  violations.push(...(await stopAll(world)))
  const { card, store, traffic, scenario } = world
  const [outputs, commits, state, positions, ...logs] = await Promise.all([
    readOutputs(card),
    readCommits(card.brokers, card.plan.kafka.group),
    store.state(card.namespace),
    card.positions(),
    ...card.sourceTopics.map((topic) => readCommitted(card.brokers, topic)),
  ])
  const input = traffic.logged(logs.flat())
  const { plan } = card
  if (positions.length !== card.sourceTopics.length * card.partitions)
    violations.push(`I1: only ${positions.length} partitions have a committed position`)
  const check = scenario.check ?? {}
  violations.push(
    ...problemsOf({ plan, input, positions, outputs }, { gapless: true, ...check }),
    ...commitProblems(commits, positions),
    ...stateProblems(
      plan,
      fold(input, plan, check.unseen ?? (() => false)),
      positions,
      state,
      bucketsOf(scenario.stack),
    ),
  )
  return {
    violations,
    events: input.filter(({ source }) => source === 'transactions').length,
    predictions: outputs.predictions.length,
    alerts: outputs.alerts.length,
    deadLetters: outputs.deadLetters.length,
    commits: commits.length,
    drainedMs,
  }
}

/** SIGTERM to all; each must end with 0. */
async function stopAll(world: FaultWorld): Promise<string[]> {
  const ends = await Promise.all(world.running.map((seat) => seat.stop()))
  return ends.filter((problem) => problem !== null)
}

async function isCommitted({ card }: FaultWorld): Promise<boolean> {
  const positions = await card.positions()
  for (const topic of card.sourceTopics) {
    for (const { partition, high } of await card.admin.fetchTopicOffsets(topic)) {
      const at = positions.find((one) => one.topic === topic && one.partition === partition)
      if ((at?.offset ?? 0) < Number(high)) return false
    }
  }
  return true
}

/** What is committed is also visible: readers stop at the first open transaction. */
async function isStable({ card: { admin, topics } }: FaultWorld): Promise<boolean> {
  for (const topic of [topics.predictions, topics.alerts, topics.deadLetters]) {
    const written = await logEnds(admin, topic, 'written')
    const stable = await logEnds(admin, topic, 'stable')
    if (!haveReached(stable, written)) return false
  }
  return true
}

async function isFlushed({ card, store, scenario }: FaultWorld): Promise<boolean> {
  const [{ watermarks }, positions] = await Promise.all([store.state(card.namespace), card.positions()])
  if (watermarks.size !== bucketsOf(scenario.stack)) return false
  return positions.every(({ topic, partition, offset }) =>
    [...watermarks.values()].every((texts) => {
      const text = texts.get(`${topic}:${partition}`)
      return text !== undefined && (parseWatermark(text)?.offset ?? -1) === offset
    }),
  )
}
