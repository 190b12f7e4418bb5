import { MillraceError, type ErrorCode } from '../../src/errors.ts'
import type { Shared } from '../../src/pipeline/partition-context.ts'
import { sourceOf } from '../../src/pipeline/partition-context.ts'
import { TaskGroup } from '../../src/pipeline/task-group.ts'
import { inputName } from '../../src/record/input.ts'
import type { Case } from './cases.ts'
import { calmDice, type Dice } from './dice.ts'
import { disasters, usualDisasters, type Stage } from './disasters.ts'
import { ExpectedLogs } from './expected.ts'
import { drawRates, GivenFaults, RandomFaults, type FaultPlan } from './faults.ts'
import { Feed, simulatedDecoder } from './feed.ts'
import { Group, sessionTimeoutMs } from './group.ts'
import { Host } from './host.ts'
import { Kafka } from './kafka.ts'
import { Ledger } from './ledger.ts'
import { OutputCheck } from './output-check.ts'
import { sharedOf } from './process.ts'
import { Redis } from './redis.ts'
import { epochMs, Scheduler } from './scheduler.ts'
import { StoreCheck } from './store-check.ts'
import { drawSettings, planOf, specOf, type Settings } from './topology.ts'
import { Trace } from './trace.ts'
import { LossyWire } from './wire.ts'

/** Small lies of the ports, each of which must turn a run red. */
export interface Sabotage {
  readonly noFence?: boolean
  readonly shared?: (shared: Shared, world: World, host: Host) => Shared
  readonly redis?: (redis: Redis) => void
}

export interface RunOptions extends Case {
  readonly sabotage?: Sabotage
  /** Trace lines to keep. */
  readonly keep?: number
}

export interface RunResult {
  readonly violations: readonly string[]
  readonly trace: Trace
  readonly settings: Settings
  /** Faults that came up, as text. */
  readonly faults: readonly string[]
  /** Records that were appended, by id. */
  readonly events: readonly string[]
  /** Decisions of the scheduler. */
  readonly steps: number
  /** Virtual time it took, ms. */
  readonly tookMs: number
}

const faultsUntilMs = 14_000
/** A record that kills the process costs some restarts and session timeouts before it is proven. */
const convictedWithinMs = 60_000
/** I8: lag is zero this long after the last trouble: sessions time out, back-offs and stalls end. */
const recoveryMaxMs = 60_000

export async function simulate(options: RunOptions): Promise<RunResult> {
  const world = new World(options)
  const { stackTraceLimit } = Error
  // Thousands of errors are made that nobody reads.
  if (options.keep === 0) Error.stackTraceLimit = 0
  try {
    await world.run()
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
  const { violations, trace, settings, scheduler, faults, feed } = world
  return {
    violations,
    trace,
    settings,
    faults: faults.injected,
    events: feed.appended,
    steps: scheduler.steps,
    tookMs: scheduler.nowMs,
  }
}

interface Worker {
  readonly host: Host
  readonly tasks: TaskGroup
  readonly slot: string
}

/** Two processes, a broker, a Redis, and what goes wrong between them. */
export class World implements Stage {
  readonly violations: string[] = []
  readonly trace: Trace
  readonly scheduler: Scheduler
  readonly timeline: Scheduler
  readonly settings: Settings
  readonly faults: FaultPlan
  readonly kafka: Kafka
  readonly redis: Redis
  readonly wire: LossyWire
  readonly group: Group
  readonly feed: Feed
  readonly ledger: Ledger
  readonly #options: RunOptions
  readonly #store: StoreCheck
  readonly #workers = new Map<string, Worker>()
  readonly #started = new Map<string, number>()
  /** What an operator has answered to a refusal, for processes started from then on. */
  #answers: Partial<Settings> = {}
  #flushes = 0
  #leaving = 0
  #maintained = false
  #calmFromMs = faultsUntilMs
  #finished = false

  constructor(options: RunOptions) {
    this.#options = options
    const scheduler = new Scheduler(options.seed, options.calm ? calmDice : null)
    this.scheduler = this.timeline = scheduler
    this.trace = new Trace(options.keep ?? 400)
    const settings = { ...drawSettings(scheduler.seededDice('settings')), ...options.settings }
    this.settings = settings
    const kinds = { usual: usualDisasters, certain: settings.troubles }
    this.faults = options.faults
      ? new GivenFaults(scheduler, options.faults, faultsUntilMs)
      : new RandomFaults(scheduler, drawRates(scheduler.seededDice('rates')), kinds, faultsUntilMs)
    this.wire = new LossyWire(scheduler, this.faults, this.trace)
    this.kafka = new Kafka(scheduler, this.trace, {
      fences: options.sabotage?.noFence !== true,
      transactionTimeoutMs: settings.transactionTimeoutMs,
    })
    this.group = new Group(this.wire, this.kafka, settings.inputs)
    this.feed = new Feed(scheduler, this.kafka, options.events ? new Set(options.events) : undefined)
    const { features } = planOf({ ...settings, appends: false })
    this.redis = new Redis({
      buckets: settings.buckets,
      timeline: scheduler,
      trace: this.trace,
      layouts: features.layouts,
    })
    const logs = new ExpectedLogs(settings.late)
    const { violated, kafka } = this
    const outputs = new OutputCheck({
      settings,
      spec: specOf(settings),
      logs,
      position: (name) => this.ledger.position(name),
      violated,
    })
    const now = (): number => epochMs + scheduler.nowMs
    const { inputs, outageMaxMs } = settings
    this.ledger = new Ledger({ inputs, kafka, logs, outputs, now, outageMaxMs, violated })
    this.#store = new StoreCheck({
      inputs,
      features,
      store: this.redis.store,
      logs,
      account: (name) => this.ledger.of(name),
      readTime: (name) => this.ledger.readTime(name),
      now,
      outageMaxMs,
      violated,
    })
  }

  readonly violated = (what: string): void => {
    this.violations.push(what)
    this.trace.add(this.scheduler.nowMs, 'CHECK', what)
  }

  async run(): Promise<void> {
    const { scheduler, kafka, redis, settings, feed } = this
    kafka.onCommit = (transaction) => this.ledger.commit(transaction)
    redis.onFlush = (bucket, { inputName: name, next }) => {
      this.#store.checkWatermark(bucket, name, next)
      if (this.#flushes++ % 16 === 0) this.#checkParts()
    }
    this.#options.sabotage?.redis?.(redis)
    feed.plan(settings, (name) => scheduler.seededDice(`feed ${name}`), faultsUntilMs)
    this.#calmFromMs = faultsUntilMs + Math.max(settings.lullMs, settings.killer ? convictedWithinMs : 0)
    for (const slot of ['a', 'b']) this.#startWorker(slot)
    for (const { atMs, what, seed } of this.faults.disasters()) {
      scheduler.at(atMs, () => this.#strike(what, scheduler.seededDice(`${what} ${seed}`)))
    }
    scheduler.at(this.#calmFromMs, () => this.#watch())
    const over = (): boolean => this.#finished || this.violations.length > 0
    while (!over() && scheduler.nowMs < this.#calmFromMs + recoveryMaxMs) {
      if (!(await scheduler.run(over, this.#calmFromMs + recoveryMaxMs))) break
    }
    if (this.violations.length > 0) return
    if (!this.#finished) return this.violated(`I8: ${this.#lag() ?? 'stuck'} at the end`)
    this.#checkParts()
    for (const id of kafka.openTransactions()) this.violated(`I8: readers wait behind a transaction of ${id}`)
    await this.#drainAll()
  }

  #checkParts(): void {
    this.redis.expireAll()
    this.#store.checkParts()
  }

  // --- the processes ------------------------------------------------------------------------------------------------

  hosts(): readonly Host[] {
    return [...this.#workers.values()].map(({ host }) => host)
  }

  #startWorker(slot: string): void {
    const { scheduler, wire, kafka, redis, settings, violated } = this
    const nth = (this.#started.get(slot) ?? 0) + 1
    this.#started.set(slot, nth)
    const name = `${slot}${nth}`
    const skewMs = scheduler.dice(`${name} clock`).between(-400, 400)
    const host = new Host(name, scheduler, this.trace, () => epochMs + scheduler.nowMs + skewMs)
    const identities = scheduler.seededDice(`${name} identities`)
    const real = sharedOf({
      wire,
      host,
      kafka,
      redis,
      settings: { ...settings, ...this.#answers },
      depth: this.#options.depth,
      newIdentity: () =>
        identities
          .below(2 ** 32)
          .toString(16)
          .padStart(8, '0'),
      violated,
    })
    const shared = this.#options.sabotage?.shared?.(real, this, host) ?? real
    const tasks = new TaskGroup({
      setupOf: (input) => ({
        shared,
        input,
        source: sourceOf(shared.plan, input.source),
        decoder: simulatedDecoder(wire, host),
      }),
      fatal: (error) => this.#stopped(host, error),
      rebalanced: () => undefined,
    })
    this.#workers.set(slot, { host, tasks, slot })
    host.onCrash = () => {
      this.#workers.delete(slot)
      const isFirstStart = settings.inputs.some((input) => this.ledger.of(inputName(input)) === null)
      if (isFirstStart && settings.start === 'latest') {
        this.trace.count('first start at the end, and a crash before')
      }
      scheduler.at(sessionTimeoutMs, () => this.group.forget(host))
      const restartMs = scheduler.dice(`${slot} restarts`).between(100, 4_000)
      if (!this.#maintained) scheduler.at(restartMs, () => this.#startUnlessMaintained(slot))
    }
    host.onFreeze = () => {
      scheduler.at(sessionTimeoutMs, () => {
        if (!host.isUp) this.group.forget(host)
      })
    }
    host.deliver(scheduler.dice(`${name} start`).between(0, 100), () => this.group.join(host, tasks))
  }

  #startUnlessMaintained(slot: string): void {
    if (!this.#maintained && !this.#workers.has(slot)) this.#startWorker(slot)
  }

  /** A process ends by itself: right when something foreign was found and nobody has said what to do about it. */
  #stopped(host: Host, error: unknown): void {
    const code = error instanceof MillraceError ? error.code : 'INTERNAL'
    const answer = answers[code]
    const isExpected = this.settings.inputs.some((input) => this.ledger.isRenewable(inputName(input)))
    if (answer === undefined || !isExpected) {
      return this.violated(`I8: ${host.name} has to stop: ${String(error)} ${stackOf(error)}`)
    }
    this.trace.add(this.scheduler.nowMs, host.name, 'refuses to go on:', error)
    this.trace.count(`refused ${code}`)
    this.#answers = { ...this.#answers, ...answer }
    // With the position gone, what Redis holds belongs to nothing.
    if (code === 'OFFSET_LOST') this.redis.flushAll()
    host.crash()
  }

  // --- what goes wrong ----------------------------------------------------------------------------------------------

  #strike(what: string, dice: Dice): void {
    const disaster = disasters[what]
    if (disaster === undefined) throw new Error(`no disaster ${what}`)
    disaster(this, dice)
  }

  restart(host: Host): void {
    const worker = [...this.#workers.values()].find((candidate) => candidate.host === host)
    if (!worker || !host.isUp) return
    this.trace.add(this.scheduler.nowMs, host.name, 'drains')
    this.trace.count('drain')
    this.#leaving++
    const crashed = host.onCrash
    host.onCrash = () => {
      this.#leaving--
      crashed()
    }
    host.deliver(0, () => {
      void worker.tasks.drain().then(() => host.crash())
    })
  }

  maintain(dice: Dice, act: () => void, ms: number): void {
    if (this.#maintained) return
    this.#maintained = true
    const { scheduler } = this
    const [stopMs, endMs] = [6_000, 6_000 + sessionTimeoutMs + ms]
    const isClean = dice.chance(0.5)
    for (const host of this.hosts()) {
      if (isClean) this.restart(host)
      else host.crash()
    }
    // Who does not stop by then is killed, and then nobody is left who could hold anything.
    scheduler.at(isClean ? stopMs : 0, () => {
      for (const host of this.hosts()) host.crash()
    })
    scheduler.at(isClean ? stopMs + 1 : dice.spread(1, 4_000), act)
    scheduler.at(endMs, () => {
      this.#maintained = false
      for (const slot of ['a', 'b']) this.#startUnlessMaintained(slot)
    })
    this.#calmFromMs = Math.max(this.#calmFromMs, scheduler.nowMs + endMs)
  }

  // --- the end ------------------------------------------------------------------------------------------------------

  #watch(): void {
    const up = this.hosts().filter((host) => host.isUp)
    const settled = this.#leaving === 0 && up.length === 2 && this.scheduler.nowMs >= this.#calmFromMs
    this.#finished = settled && this.#lag() === null
    if (!this.#finished) this.scheduler.at(200, () => this.#watch())
  }

  /** What is still to be done; null: nothing. */
  #lag(): string | null {
    for (const name of this.settings.inputs.map(inputName)) {
      const position = this.kafka.committed(name)?.offset ?? -1
      if (position !== this.kafka.end(name))
        return `${name} is committed up to ${position} of ${this.kafka.end(name)}`
      const flushed = this.redis.flushedOffset(name)
      if (flushed !== position) return `${name} is flushed up to ${flushed} of ${position}`
    }
    return null
  }

  async #drainAll(): Promise<void> {
    const draining = new Set<Host>()
    for (const { host, tasks } of this.#workers.values()) {
      draining.add(host)
      // The last fault may come now: who crashes has nothing more to drain.
      const crashed = host.onCrash
      host.onCrash = () => {
        draining.delete(host)
        crashed()
      }
      host.deliver(0, () => {
        void tasks.drain().then(() => draining.delete(host))
      })
    }
    await this.scheduler.run(() => draining.size === 0, this.scheduler.nowMs + 10_000)
    if (draining.size > 0) this.violated('I8: a drain does not end')
  }
}

/** What an operator answers to a refusal. */
const answers: Partial<Record<ErrorCode, Partial<Settings>>> = {
  OFFSET_FOREIGN: { onForeignOffset: 'rebuild' },
  OFFSET_BELOW_LOG: { onLogGone: 'accept-gap' },
  OFFSET_LOST: {},
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? '').split('\n').slice(1, 5).join('') : ''
}
