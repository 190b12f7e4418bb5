import type { Outlet, Shared } from '../../src/pipeline/partition-context.ts'
import { memoryScorer } from '../../src/model/memory-scorer.ts'
import { parseMetadata } from '../../src/pipeline/metadata.ts'
import { sourceOf } from '../../src/pipeline/partition-context.ts'
import { TaskGroup } from '../../src/pipeline/task-group.ts'
import { parseWatermark } from '../../src/pipeline/watermark.ts'
import { inputName } from '../../src/record/input.ts'
import type { OutputKind } from '../../src/record/output.ts'
import type { RawRecord } from '../../src/record/raw-record.ts'
import { ExpectedLogs } from './expected.ts'
import { drawRates, Faults } from './faults.ts'
import { planFeed, simulatedDecoder } from './feed.ts'
import { Group, sessionTimeoutMs } from './group.ts'
import { Host } from './host.ts'
import { Kafka, type Transaction } from './kafka.ts'
import { OutputCheck, scoreOf, type SimulatedOutput } from './output-check.ts'
import { Redis, simulatedStore } from './redis.ts'
import { Scheduler } from './scheduler.ts'
import { StoreCheck } from './store-check.ts'
import {
  drawSettings,
  inputs,
  missingMean,
  modelInputs,
  planOf,
  specOf,
  trouble,
  type Settings,
} from './topology.ts'
import { Trace } from './trace.ts'
import { simulatedTransactions } from './transaction-port.ts'
import { Wire } from './wire.ts'

/** Small lies of the ports, each of which must turn a run red. */
export interface Sabotage {
  readonly noFence?: boolean
  readonly shared?: (shared: Shared, world: World, host: Host) => Shared
  readonly redis?: (redis: Redis) => void
}

export interface RunOptions {
  readonly seed: number
  readonly depth: number
  readonly sabotage?: Sabotage
  /** Trace lines to keep. */
  readonly keep?: number
}

export interface RunResult {
  readonly violations: readonly string[]
  readonly trace: Trace
  readonly settings: Settings
  /** Virtual time it took, ms. */
  readonly tookMs: number
}

const faultsUntilMs = 14_000
/** I8: lag is zero this long after the faults stopped: sessions time out, back-offs and stalls end. */
const recoveryMaxMs = 60_000

export async function simulate(options: RunOptions): Promise<RunResult> {
  const world = new World(options)
  await world.run()
  return {
    violations: world.violations,
    trace: world.trace,
    settings: world.settings,
    tookMs: world.scheduler.nowMs,
  }
}

interface Worker {
  readonly host: Host
  readonly tasks: TaskGroup
}

/** Two processes, a broker, a Redis, and what goes wrong between them. */
export class World {
  readonly violations: string[] = []
  readonly trace: Trace
  readonly scheduler: Scheduler
  readonly settings: Settings
  readonly kafka: Kafka
  readonly redis: Redis
  readonly wire: Wire
  readonly #options: RunOptions
  readonly #faults: Faults
  readonly #group: Group
  readonly #store: StoreCheck
  readonly #outputs: OutputCheck
  readonly #workers = new Map<string, Worker>()
  #started = 0
  #incarnations = new Map<string, string>()
  #flushes = 0
  #leaving = 0
  #finished = false

  constructor(options: RunOptions) {
    this.#options = options
    const scheduler = new Scheduler(options.seed)
    this.scheduler = scheduler
    this.trace = new Trace(options.keep ?? 400)
    this.settings = drawSettings(scheduler)
    this.#faults = new Faults(scheduler, drawRates(scheduler), faultsUntilMs)
    this.wire = new Wire(scheduler, this.#faults, this.trace)
    this.kafka = new Kafka(scheduler, this.trace, { fences: options.sabotage?.noFence !== true })
    this.redis = new Redis(this.settings.buckets, this.wire)
    this.#group = new Group(this.wire, this.kafka, inputs)
    const logs = new ExpectedLogs(this.kafka, this.settings.late)
    const position = (name: string): number => this.kafka.decided(name)?.offset ?? 0
    this.#outputs = new OutputCheck(specOf(this.settings), logs, position, this.violated)
    this.#store = new StoreCheck({
      features: planOf({ ...this.settings, appends: false }).features,
      store: this.redis.store,
      logs,
      position,
      violated: this.violated,
    })
  }

  readonly violated = (what: string): void => {
    this.violations.push(what)
    this.trace.add(this.scheduler.nowMs, 'CHECK', what)
  }

  async run(): Promise<void> {
    const { scheduler, kafka, redis } = this
    kafka.onCommit = (transaction, before) => this.#checkCommit(transaction, before?.offset ?? null)
    redis.onFlush = (bucket, { inputName: name, next }) => {
      this.#store.checkWatermark(bucket, name, next)
      if (this.#flushes++ % 16 === 0) this.#store.checkParts()
    }
    this.#options.sabotage?.redis?.(redis)
    planFeed(scheduler, kafka, faultsUntilMs)
    for (let i = 0; i < 2; i++) this.#startWorker()
    for (let i = 0; i < this.#faults.rates.disasters; i++) {
      scheduler.at(scheduler.between(200, faultsUntilMs), () => this.#disaster())
    }
    scheduler.at(faultsUntilMs, () => this.#watch())
    const until = faultsUntilMs + recoveryMaxMs
    await scheduler.run(() => this.#finished || this.violations.length > 0, until)
    if (this.violations.length > 0) return
    if (!this.#finished) return this.violated(`I8: ${this.#lag() ?? 'stuck'} at the end`)
    this.#store.checkParts()
    await this.#drainAll()
  }

  // --- the processes ------------------------------------------------------------------------------------------------

  #startWorker(): void {
    const name = `w${++this.#started}`
    const host = new Host(name, this.scheduler, this.trace, this.scheduler.between(-400, 400))
    const tasks = new TaskGroup({
      setupOf: (input) => ({
        shared,
        input,
        source: sourceOf(shared.plan, input.source),
        decoder: simulatedDecoder(this.wire, host),
      }),
      fatal: (error) => this.violated(`${name} has to stop: ${String(error)} ${stackOf(error)}`),
      rebalanced: () => undefined,
    })
    const shared = this.#sharedOf(host)
    this.#workers.set(name, { host, tasks })
    host.onCrash = () => {
      this.#workers.delete(name)
      this.scheduler.at(sessionTimeoutMs, () => this.#group.forget(host))
      this.scheduler.at(this.scheduler.between(100, 4_000), () => this.#startWorker())
    }
    host.onFreeze = () => {
      this.scheduler.at(sessionTimeoutMs, () => {
        if (!host.isUp) this.#group.forget(host)
      })
    }
    host.deliver(this.scheduler.between(0, 100), () => this.#group.join(host, tasks))
  }

  #sharedOf(host: Host): Shared {
    const { wire, settings, scheduler, trace, kafka } = this
    const plan = planOf(settings)
    const shared: Shared = {
      plan,
      store: simulatedStore({ wire, host, redis: this.redis, ordered: settings.orderedReplies }),
      transactions: simulatedTransactions({ wire, host, kafka, violated: this.violated }),
      scorer: memoryScorer({
        width: modelInputs.length,
        score: scoreOf,
        missing: new Map([['meanBefore', missingMean]]),
        baseline: new Map(modelInputs.map((input) => [input, 1])),
      }),
      batching: {
        get hasRoom() {
          return !scheduler.chance(0.03)
        },
        room: (signal) => host.clock.sleep(scheduler.between(1, 300), signal),
        score: (rows, n, signal) =>
          wire.call({ host, what: `score ${n}`, effect: () => scoreRows(rows, n), signal }),
      },
      outlet,
      clock: host.clock,
      observer: {
        status: (input, status, detail) => {
          trace.add(scheduler.nowMs, host.name, inputName(input), status, detail)
          trace.count(detail.startsWith('rebuilding') ? 'rebuild' : status)
        },
        taken: () => undefined,
        committed: ({ input, records, flagged, rejects, alerts }) => {
          trace.add(scheduler.nowMs, host.name, inputName(input), 'committed', records)
          for (const flag of flagged.keys()) trace.count(`flag ${flag}`)
          for (const { reason } of rejects) trace.count(`dead letter ${reason}`)
          if (alerts.length > 0) trace.count('alert')
        },
        transactionFailed: () => undefined,
        flushed: (input, offset, changes) => {
          if (changes > 0) trace.add(scheduler.nowMs, host.name, inputName(input), 'flushed to', offset)
        },
        rewound: () => trace.count('watermark mismatch'),
        trouble: (input, error) => trace.add(scheduler.nowMs, host.name, inputName(input), 'trouble:', error),
      },
      clusterId: 'simulated',
      partitionCounts: new Map(
        [...Map.groupBy(inputs, ({ topic }) => topic)].map(([t, list]) => [t, list.length]),
      ),
      newIdentity: () =>
        Math.floor(scheduler.random.next() * 2 ** 32)
          .toString(16)
          .padStart(8, '0'),
      depth: this.#options.depth,
    }
    return this.#options.sabotage?.shared?.(shared, this, host) ?? shared
  }

  // --- what goes wrong ----------------------------------------------------------------------------------------------

  #disaster(): void {
    const { scheduler, redis } = this
    const someone = (): Worker | undefined => scheduler.pick([...this.#workers.values()])
    const disasters: readonly (() => void)[] = [
      () => this.#group.rebalance(),
      () => someone()?.host.crash(),
      () => someone()?.host.freeze(scheduler.between(500, 8_000)),
      () => this.#restart(someone()),
      () => {
        const worker = someone()
        if (worker) this.#group.forget(worker.host)
      },
      () => redis.failOver(),
      () => redis.failOver(),
      () => redis.flushAll(),
      () => redis.loseWatermark(inputName(scheduler.pick(inputs))),
      () => redis.tearNextScript(),
    ]
    scheduler.pick(disasters)()
  }

  /** A clean stop: drains, leaves the group, and another process starts. */
  #restart(worker: Worker | undefined): void {
    if (!worker?.host.isUp) return
    const { host, tasks } = worker
    this.trace.add(this.scheduler.nowMs, host.name, 'drains')
    this.trace.count('drain')
    this.#leaving++
    const crashed = host.onCrash
    host.onCrash = () => {
      this.#leaving--
      crashed()
    }
    host.deliver(0, () => {
      void tasks.drain().then(() => host.crash())
    })
  }

  // --- the end ------------------------------------------------------------------------------------------------------

  #watch(): void {
    const settled =
      this.#leaving === 0 && [...this.#workers.values()].filter(({ host }) => host.isUp).length === 2
    this.#finished = settled && this.#lag() === null
    if (!this.#finished) this.scheduler.at(200, () => this.#watch())
  }

  /** What is still to be done; null: nothing. */
  #lag(): string | null {
    for (const input of inputs) {
      const name = inputName(input)
      const position = this.kafka.committed(name)?.offset ?? -1
      if (position < this.kafka.end(name))
        return `${name} is committed up to ${position} of ${this.kafka.end(name)}`
      for (let bucket = 0; bucket < this.settings.buckets; bucket++) {
        const offset = parseWatermark(this.redis.store.watermarksNow(bucket).get(name))?.offset ?? -1
        if (offset < position) return `${name} bucket ${bucket} is flushed up to ${offset} of ${position}`
      }
    }
    return null
  }

  async #drainAll(): Promise<void> {
    let drained = 0
    for (const { host, tasks } of this.#workers.values()) {
      host.deliver(0, () => {
        void tasks.drain().then(() => drained++)
      })
    }
    await this.scheduler.run(() => drained === 2, this.scheduler.nowMs + 10_000)
    if (drained < 2) this.violated('I8: a drain does not end')
  }

  #checkCommit({ id, outputs, position }: Transaction, from: number | null): void {
    const input = inputs.find((candidate) => inputName(candidate) === id)!
    const metadata = parseMetadata(position?.metadata ?? '')
    if (position === null || metadata === null) return this.violated(`R4: ${id}: a commit without position`)
    const known = this.#incarnations.get(id) ?? metadata.incarnation
    this.#incarnations.set(id, metadata.incarnation)
    if (known !== metadata.incarnation)
      this.violated(`I4: ${id}: another incarnation, although no offset is foreign`)
    if (position.offset < (from ?? 0)) this.violated(`I4: ${id} goes back from ${from} to ${position.offset}`)
    const until = from === null ? 0 : position.offset
    if (from === null && position.offset !== 0) this.violated(`R4: ${id} starts at ${position.offset}`)
    this.#outputs.check(input, from ?? 0, until, outputs as SimulatedOutput[])
  }
}

function scoreRows(
  rows: Float32Array,
  n: number,
): { scores: Float64Array; failures: Map<number, string> | null } {
  const width = modelInputs.length
  const scores = Float64Array.from({ length: n }, (_, i) =>
    scoreOf(rows.subarray(i * width, (i + 1) * width)),
  )
  const failures = new Map<number, string>()
  for (let i = 0; i < n; i++) if (rows[i * width] === trouble.modelFails) failures.set(i, 'an odd amount')
  return { scores, failures: failures.size === 0 ? null : failures }
}

const outlet: Outlet = {
  prediction: (made, raw) => {
    if (made.values?.['amount'] !== trouble.tooLarge) return record('prediction', raw, made)
    return { rejected: true, reason: 'OVERSIZE', stage: 'sink', message: 'too large', raw }
  },
  alert: (made, raw) => record('alert', raw, made),
  deadLetter: (made) => record('dead-letter', made.raw, made),
}

function record(kind: OutputKind, { partition }: RawRecord, made: SimulatedOutput['made']): SimulatedOutput {
  return { kind, topic: kind, partition, key: null, value: null, headers: undefined, made }
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? '').split('\n').slice(1, 5).join('') : ''
}
