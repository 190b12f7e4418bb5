import { Command, InvalidArgumentError } from 'commander'
import type { SourcePlan } from '../decode/plan.ts'
import { MillraceError } from '../errors.ts'
import { openPlainProducer } from '../kafka/plain-producer.ts'
import type { KafkaPlan } from '../kafka/plan.ts'
import { createFeed } from '../simulator/feed.ts'
import { createSimulation, simulationDefaults } from '../simulator/simulation.ts'
import { openLog } from '../telemetry/log.ts'
import { systemClock } from '../time/system-clock.ts'
import type { Plan } from '../topology/plan.ts'
import { feedTopics } from './feed-topics.ts'
import { listenForStop } from './stop-signal.ts'

/** Reads and checks a topology file. */
export type LoadPlan = (file: string) => Promise<Plan>

export interface SimulateOptions {
  readonly topology?: string
  readonly brokers?: string
  readonly transactionsTopic?: string
  readonly labelsTopic?: string
  readonly rate: number
  readonly events?: number
  readonly preloadDays: number
  readonly perDay: number
  readonly customers: number
  readonly terminals: number
  readonly seed: number
  readonly resumeFrom?: number
}

export interface SimulateTarget {
  readonly kafka: KafkaPlan
  readonly topics: { readonly transactions: string; readonly labels: string }
}

export function simulateCommand(loadPlan: LoadPlan): Command {
  const { ratePerSecond, preloadDays, transactionsPerDay, customers, terminals, seed } = simulationDefaults
  return new Command('simulate')
    .description('Write simulated card transactions and fraud labels: history first, then live.')
    .option('--topology <file>', 'take brokers and topics from this topology')
    .option(
      '--brokers <list>',
      'Kafka brokers, comma separated (default: of the topology, else 127.0.0.1:9092)',
    )
    .option(
      '--transactions-topic <name>',
      'default: the scored source of the topology, else card.transactions',
    )
    .option('--labels-topic <name>', 'default: the state source of the topology, else card.labels')
    .option(
      '--rate <n>',
      'live transactions per second; 0 stops after the history',
      wholeNumber(0, 100_000),
      ratePerSecond,
    )
    .option('--events <n>', 'stop after this many live transactions', wholeNumber(0, Number.MAX_SAFE_INTEGER))
    .option('--preload-days <n>', 'days of history before now; 0 for none', wholeNumber(0, 400), preloadDays)
    .option(
      '--per-day <n>',
      'transactions per day of history',
      wholeNumber(1, 10_000_000),
      transactionsPerDay,
    )
    .option('--customers <n>', 'customers of the simulated world', wholeNumber(1, 10_000_000), customers)
    .option('--terminals <n>', 'terminals of the simulated world', wholeNumber(1, 1_000_000), terminals)
    .option('--seed <n>', 'same seed, same world and same history', wholeNumber(0, 4_294_967_295), seed)
    .option(
      '--resume-from <time>',
      'continue the world whose live part began then (epoch ms or ISO); no history',
      time,
    )
    .action(async (options: SimulateOptions) => {
      await simulate(options, loadPlan)
    })
}

async function simulate(options: SimulateOptions, loadPlan: LoadPlan): Promise<void> {
  const target = targetOf(options, options.topology === undefined ? null : await loadPlan(options.topology))
  const log = openLog(process.env, process.stderr)
  const nowMs = systemClock.now()
  const startMs = options.resumeFrom ?? nowMs
  const simulation = createSimulation({
    seed: options.seed,
    customers: options.customers,
    terminals: options.terminals,
    preloadDays: options.preloadDays,
    transactionsPerDay: options.perDay,
    ratePerSecond: Math.max(options.rate, 1),
    startMs,
    ...(options.resumeFrom === undefined ? {} : { resumeMs: nowMs }),
  })
  const { topics } = target
  const producer = await openPlainProducer(target.kafka, [topics.transactions, topics.labels], log)
  using stop = listenForStop(process)
  log.info({ ...topics, brokers: target.kafka.brokers, startMs, seed: options.seed }, 'simulation starts')
  try {
    let liveAnnounced = false
    const end = await feedTopics(
      {
        feed: createFeed(simulation),
        producer,
        clock: systemClock,
        topics,
        startMs,
        liveMax: options.rate === 0 ? 0 : (options.events ?? null),
        onProgress: ({ phase, transactions, labels }) => {
          if (liveAnnounced || phase === 'history') return
          liveAnnounced = true
          log.info({ transactions, labels, rate: options.rate }, 'history is written, live traffic begins')
        },
      },
      stop.signal,
    )
    log.info({ transactions: end.transactions, labels: end.labels }, 'simulation ends')
  } finally {
    await producer.close()
  }
}

/** Where simulated labels go: a source that features read, else one for training alone. */
export function stateSourceOf({ sources, labelSources }: Plan): SourcePlan | undefined {
  return [...sources, ...labelSources].find(({ role }) => role === 'state')
}

/** Brokers and topics: options first, then the topology, then the names of the shipped one. */
export function targetOf(options: SimulateOptions, plan: Plan | null): SimulateTarget {
  const scored = plan?.sources.find(({ role }) => role === 'score')
  const state = plan === null ? undefined : stateSourceOf(plan)
  for (const source of [scored, state]) {
    if (source && (source.codec.kind !== 'json' || source.codec.framed !== undefined)) {
      throw new MillraceError(
        'USAGE',
        `source ${source.name} is not plain JSON; the simulation writes that only`,
      )
    }
  }
  const brokers = options.brokers?.split(',').map((broker) => broker.trim())
  const kafka: KafkaPlan = plan?.kafka ?? {
    brokers: ['127.0.0.1:9092'],
    clientId: 'millrace-simulate',
    instance: null,
    group: 'millrace',
    sessionTimeoutMs: 6_000,
    transactionTimeoutMs: 60_000,
    ssl: false,
    sasl: null,
  }
  return {
    kafka: brokers ? { ...kafka, brokers } : kafka,
    topics: {
      transactions: options.transactionsTopic ?? scored?.topic ?? 'card.transactions',
      labels: options.labelsTopic ?? state?.topic ?? 'card.labels',
    },
  }
}

/** Parser of an option that takes a whole number within bounds. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= min && value <= max) return value
    throw new InvalidArgumentError(`Give a whole number from ${min} to ${max}.`)
  }
}

function time(text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Date.parse(text)
  if (Number.isSafeInteger(value)) return value
  throw new InvalidArgumentError('Give epoch milliseconds or an ISO time such as 2026-01-31T00:00:00Z.')
}
