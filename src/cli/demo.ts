import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { openPlainProducer, type PlainProducer } from '../kafka/plain-producer.ts'
import { parseRedisAddress } from '../redis/address.ts'
import { readings } from '../service/readings.ts'
import { openService, type Service } from '../service/service.ts'
import { createFeed } from '../simulator/feed.ts'
import { createSimulation, simulationDefaults } from '../simulator/simulation.ts'
import { openStack } from '../stack/stack.ts'
import type { Stack } from '../stack/stack-options.ts'
import { createLog, type Log } from '../telemetry/log.ts'
import { createMetrics, type Metrics } from '../telemetry/metrics.ts'
import { systemClock } from '../time/system-clock.ts'
import { loadTopology } from '../topology/load.ts'
import type { Plan } from '../topology/plan.ts'
import { createTopicsOfPlan } from './create-topics.ts'
import { feedTopics } from './feed-topics.ts'
import { listenForKeys } from './keyboard.ts'
import { LiveCollector, livePartitions } from './live-collector.ts'
import { paintLiveView } from './live-painter.ts'
import type { LivePartition, LiveState } from './live-state.ts'
import { stateSourceOf, wholeNumber } from './simulate.ts'
import { listenForStop } from './stop-signal.ts'

interface DemoOptions {
  readonly topology: string
  readonly events?: number
  readonly rate: number
  readonly preloadDays: number
  readonly seed: number
}

const shippedTopology = fileURLToPath(new URL('../../topologies/card-fraud.yaml', import.meta.url))

export function demoCommand(): Command {
  return new Command('demo')
    .description('Local Kafka and Redis, simulated card payments, and the service, with a live view.')
    .option('--topology <file>', 'topology to run', shippedTopology)
    .option(
      '--events <n>',
      'stop after this many live payments, with a summary',
      wholeNumber(1, 1_000_000_000),
    )
    .option(
      '--rate <n>',
      'live payments per second',
      wholeNumber(1, 100_000),
      simulationDefaults.ratePerSecond,
    )
    .option(
      '--preload-days <n>',
      'days of history written first',
      wholeNumber(0, 400),
      simulationDefaults.preloadDays,
    )
    .option('--seed <n>', 'same seed, same world', wholeNumber(0, 4_294_967_295), simulationDefaults.seed)
    .action(async (options: DemoOptions) => {
      await demo(options)
    })
}

/** What the parts of the demo share. */
interface Show {
  readonly options: DemoOptions
  readonly log: Log
  readonly metrics: Metrics
  readonly collector: LiveCollector
  readonly stop: AbortController
  /** Where the simulated history ends, epoch ms. */
  readonly startMs: number
  phase: string
  liveFrom: number
  partitions: readonly LivePartition[]
  service: Service | null
}

async function demo(options: DemoOptions): Promise<void> {
  using signals = listenForStop(process)
  const stop = new AbortController()
  signals.signal.addEventListener('abort', () => stop.abort(), { once: true })
  void stopWithNpm(stop)
  const show: Show = {
    options,
    stop,
    log: createLog({
      level: 'warn',
      format: 'line',
      colour: false,
      write: (line) => process.stderr.write(line),
    }),
    metrics: createMetrics().metrics,
    collector: new LiveCollector(() => show.liveFrom),
    startMs: systemClock.now(),
    phase: 'reading the history',
    liveFrom: Infinity,
    partitions: [],
    service: null,
  }
  const say = (line: string): void => void process.stderr.write(`${line}\n`)
  const dir = await mkdtemp(join(tmpdir(), 'millrace-'))
  await using stack = await openStack({
    dir,
    temporary: true,
    docker: true,
    report: say,
    signal: stop.signal,
  })
  const environment = { ...process.env, MILLRACE_BROKERS: stack.brokers, MILLRACE_REDIS: stack.redisUrl }
  const plan = await loadTopology(options.topology, environment)
  await runShow(show, plan, stack, say)
}

/** Whoever kills `npm start` wants the demo gone: npm itself cannot pass a SIGKILL on. */
async function stopWithNpm(stop: AbortController): Promise<void> {
  if (process.env['npm_lifecycle_event'] !== 'start') return
  const parent = process.ppid
  while (!stop.signal.aborted) {
    if (process.ppid !== parent) stop.abort()
    await systemClock.sleep(1_000, stop.signal).catch(() => undefined)
  }
}

async function runShow(show: Show, plan: Plan, stack: Stack, say: (line: string) => void): Promise<void> {
  const { log, stop } = show
  const clock = systemClock
  await createTopicsOfPlan(plan, { signal: stop.signal, report: say })
  const topics = topicsOf(plan)
  await using producer = await openProducer(plan, topics, log)
  say(`writing ${show.options.preloadDays} days of simulated payments`)
  await feed(show, producer, topics, 'history')
  say('starting the service')
  const service = await openService(
    { plan, clock, log, metrics: show.metrics, onCommitted: show.collector.committed, onProgress: say },
    stop.signal,
  )
  show.service = service
  service.failed.catch((error: unknown) => stop.abort(error))
  const watching = watch(show)
  const painting = paint(show, plan, stack)
  const feeding = goLive(show, producer, topics).catch((error: unknown) => stop.abort(error))
  await finished(show)
  show.phase = 'draining'
  await service.drain()
  stop.abort()
  await Promise.all([watching, painting, feeding])
  throwFailure(stop.signal)
  summarise(show)
}

interface DemoTopics {
  readonly transactions: string
  readonly labels: string
}

function topicsOf(plan: Plan): DemoTopics {
  return {
    transactions: plan.sources.find(({ role }) => role === 'score')?.topic ?? '',
    labels: stateSourceOf(plan)?.topic ?? '',
  }
}

async function openProducer(
  plan: Plan,
  topics: DemoTopics,
  log: Log,
): Promise<PlainProducer & AsyncDisposable> {
  const producer = await openPlainProducer(plan.kafka, Object.values(topics), log)
  return {
    send: (records) => producer.send(records),
    close: () => producer.close(),
    [Symbol.asyncDispose]: () => producer.close(),
  }
}

/** Writes the history, or live payments of the same world until stopped or `--events` are sent. */
async function feed(
  show: Show,
  producer: PlainProducer,
  topics: DemoTopics,
  part: 'history' | 'live',
): Promise<void> {
  const { options, startMs } = show
  const nowMs = systemClock.now()
  const simulation = createSimulation({
    ...simulationDefaults,
    seed: options.seed,
    preloadDays: options.preloadDays,
    ratePerSecond: options.rate,
    startMs,
    ...(part === 'live' ? { resumeMs: nowMs } : {}),
  })
  await feedTopics(
    {
      feed: createFeed(simulation),
      producer,
      clock: systemClock,
      topics,
      startMs: part === 'live' ? nowMs : startMs,
      liveMax: part === 'live' ? (options.events ?? null) : 0,
    },
    show.stop.signal,
  )
}

/** Live payments begin when the history is read, so that their latency is that of a service that keeps up. */
async function goLive(show: Show, producer: PlainProducer, topics: DemoTopics): Promise<void> {
  const { stop } = show
  while (!stop.signal.aborted && !caughtUp(show)) {
    await systemClock.sleep(100, stop.signal).catch(() => undefined)
  }
  show.liveFrom = systemClock.now()
  show.phase = 'live'
  await feed(show, producer, topics, 'live')
}

function caughtUp({ partitions }: Show): boolean {
  return (
    partitions.length > 0 &&
    partitions.every(({ lagRecords, status }) => lagRecords === 0 && status === 'serving')
  )
}

/** Until stopped, or until `--events` live payments have their prediction. */
async function finished({ stop, options, collector }: Show): Promise<void> {
  while (!stop.signal.aborted && collector.live < (options.events ?? Infinity)) {
    await systemClock.sleep(50, stop.signal).catch(() => undefined)
  }
}

function throwFailure(signal: AbortSignal): void {
  const reason: unknown = signal.reason
  if (reason instanceof Error && reason.name !== 'AbortError') throw reason
}

/** Once a second: rates and lags. */
async function watch(show: Show): Promise<void> {
  while (!show.stop.signal.aborted) {
    show.collector.tick()
    const { service } = show
    if (service !== null) {
      show.partitions = livePartitions(
        service.tasks.tasks,
        await readings(service, show.metrics, systemClock),
      )
      const behind = show.partitions.reduce((sum, { lagRecords }) => sum + (lagRecords ?? 0), 0)
      show.phase = show.collector.live > 0 && behind < 10 * show.options.rate ? 'live' : 'reading the history'
    }
    await systemClock.sleep(1_000, show.stop.signal).catch(() => undefined)
  }
}

async function paint(show: Show, plan: Plan, stack: Stack): Promise<void> {
  const startedAt = systemClock.monotonic()
  const giveBack = listenForKeys(process.stdin, (key) => {
    if (key === 'q' || key === '\u0003') show.stop.abort()
  })
  const read = (): LiveState => ({
    name: plan.name,
    phase: show.phase,
    upMs: systemClock.monotonic() - startedAt,
    ...show.collector.state(),
    partitions: show.partitions,
    kafka: { ok: true, detail: stack.brokers },
    redis: {
      ok: show.service?.redis.answering ?? true,
      detail:
        show.service?.redis.answering === false
          ? 'does not answer; waiting'
          : parseRedisAddress(stack.redisUrl).shown,
    },
    keys: [['q', 'drain and quit']],
  })
  // With --events the summary alone goes to standard output.
  const screen = show.options.events === undefined ? process.stdout : process.stderr
  const colour = screen.isTTY && !process.env['NO_COLOR']
  try {
    await paintLiveView({ screen, clock: systemClock, colour, read }, show.stop.signal)
  } finally {
    giveBack()
  }
}

function summarise(show: Show): void {
  const { collector } = show
  const latency = collector.latencyOfAll()
  process.stdout.write(
    `${JSON.stringify({
      predictions: collector.predictions,
      livePredictions: collector.live,
      alerts: collector.alerts,
      deadLetters: collector.deadLetters,
      p50Ms: latency === null ? null : Math.round(latency.p50Ms * 10) / 10,
      p99Ms: latency === null ? null : Math.round(latency.p99Ms * 10) / 10,
    })}\n`,
  )
}
