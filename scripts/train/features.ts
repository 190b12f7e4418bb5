/**
 * Training data of models/card-fraud: simulated history into a real Kafka, features replayed from it by the code that
 * serves; and truth.csv, what only the simulator knows. Same seed and same time, so the same files every time.
 *
 *   scripts/node.sh scripts/train/features.ts OUT_FOLDER
 */
import { mkdirSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { writeReplay } from '../../src/cli/replay.ts'
import { feedTopics } from '../../src/cli/feed-topics.ts'
import { openKafkaClient } from '../../src/kafka/client.ts'
import { openPlainProducer } from '../../src/kafka/plain-producer.ts'
import { createTopics } from '../../src/service/topics.ts'
import { createFeed } from '../../src/simulator/feed.ts'
import { createSimulation, labelDelayMs, simulationDefaults } from '../../src/simulator/simulation.ts'
import { openStack } from '../../src/stack/stack.ts'
import { quietLog } from '../../src/telemetry/log.ts'
import { systemClock } from '../../src/time/system-clock.ts'
import { loadTopology } from '../../src/topology/load.ts'
import { writeTruth } from './truth.ts'

const dayMs = 86_400_000
const endMs = Date.UTC(2026, 10, 1)
/** Delayed 30-day windows are full after 37 days; then 25 days to learn from, a gap of 7, a week to test on. */
const historyDays = 75

const out = process.argv[2] ?? '.millrace/training'
mkdirSync(out, { recursive: true })
const say = (line: string): void => void process.stderr.write(`${line}\n`)
const dir = await mkdtemp(join(tmpdir(), 'millrace-train-'))
await using stack = await openStack({ dir, temporary: true, report: say })
const plan = await loadTopology(
  fileURLToPath(new URL('../../topologies/card-fraud.yaml', import.meta.url)),
  { MILLRACE_BROKERS: stack.brokers, MILLRACE_REDIS: stack.redisUrl },
  { model: 'optional' },
)
const signal = new AbortController().signal
const client = openKafkaClient({ plan: plan.kafka, clock: systemClock, log: quietLog })
await createTopics(plan, client.admin)
await client.close()
const topics = {
  transactions: plan.sources.find(({ role }) => role === 'score')?.topic ?? '',
  labels: plan.sources.find(({ role }) => role === 'state')?.topic ?? '',
}
const producer = await openPlainProducer(plan.kafka, Object.values(topics), quietLog)
say(`writing ${historyDays} days of simulated payments`)
const simulated = { ...simulationDefaults, seed: 2, preloadDays: historyDays, startMs: endMs }
await feedTopics(
  {
    feed: createFeed(createSimulation(simulated)),
    producer,
    clock: systemClock,
    topics,
    startMs: endMs,
    liveMax: 0,
  },
  signal,
)
await producer.close()
const summary = await writeReplay(
  {
    plan,
    out: join(out, 'features.csv'),
    labels: { source: 'labels', field: 'fraud' },
    asOf: Infinity,
    from: endMs - (historyDays - 37) * dayMs,
    // Later payments are not all labelled yet.
    to: endMs - labelDelayMs.max,
  },
  quietLog,
  signal,
)
say(`replayed ${summary.rows} rows`)
await writeTruth(createSimulation(simulated), endMs, join(out, 'truth.csv'))
process.exit(0)
