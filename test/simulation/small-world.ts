import { sourceOf } from '../../src/pipeline/partition-context.ts'
import { TaskGroup } from '../../src/pipeline/task-group.ts'
import type { InputStream } from '../../src/source/source.ts'
import { ChoiceTimeline, hashOf, textOf, type Pending } from './choice-timeline.ts'
import { ChoiceWire } from './choice-wire.ts'
import { calmDice, SeededDice, seedOf } from './dice.ts'
import { ExpectedLogs } from './expected.ts'
import { rawRecord, simulatedDecoder } from './feed.ts'
import { Host } from './host.ts'
import { Kafka } from './kafka.ts'
import { Ledger } from './ledger.ts'
import { OutputCheck } from './output-check.ts'
import { sharedOf } from './process.ts'
import { Redis } from './redis.ts'
import { epochMs } from './scheduler.ts'
import { StoreCheck } from './store-check.ts'
import { SimulatedStream } from './stream.ts'
import { customers, input, name, settings } from './small-settings.ts'
import { planOf, specOf } from './topology.ts'
import { Trace } from './trace.ts'

/** A consumer that was thrown out learns of it at its next heartbeat. */
const heartbeatMs = 3_000
/** Events come one by one, so that a flush may lie between their commits. */
const eventGapMs = 400
/** Steps after which a run counts as endless. */
const stepsMax = 3_000

/** What may be done at one step, the usual first. */
export interface Option {
  readonly name: string
  readonly faults: number
  readonly delays: number
  readonly act: () => Promise<void> | void
}

interface Worker {
  readonly slot: string
  readonly host: Host
  readonly tasks: TaskGroup
  over: AbortController
  /** Thrown out of the group, and does not know it yet. */
  unaware: boolean
}

export interface SmallWorldOptions {
  /** Slices between take and commit. */
  readonly depth: number
  /** One letter per event, of whose customer it is: X and Z share a bucket, Y lies in the other. */
  readonly events: string
}

/**
 * Two processes, one partition, a few events in two buckets, a broker and a Redis, and at every step the list of
 * what may happen next. The partition tasks, takeovers and flushers are the real ones.
 */
export class SmallWorld {
  readonly violations: string[] = []
  readonly trace: Trace
  readonly timeline = new ChoiceTimeline()
  readonly #wire: ChoiceWire
  readonly #kafka: Kafka
  readonly #redis: Redis
  readonly #ledger: Ledger
  readonly #store: StoreCheck
  readonly #options: SmallWorldOptions
  readonly #workers = new Map<string, Worker>()
  readonly #started = new Map<string, number>()
  #owner = ''
  #steps = 0

  constructor(options: SmallWorldOptions, keep = 0) {
    this.#options = options
    this.trace = new Trace(keep)
    const { timeline, trace, violated } = this
    this.#wire = new ChoiceWire(timeline, trace, {
      crash: (host) => this.#crash(host),
      stall: (host) => this.#stall(host),
    })
    const kafka = new Kafka(timeline, trace, { fences: true, transactionTimeoutMs: 600_000 })
    const { features } = planOf({ ...settings, appends: false })
    const redis = new Redis({ buckets: settings.buckets, timeline, trace, layouts: features.layouts })
    this.#kafka = kafka
    this.#redis = redis
    const logs = new ExpectedLogs(settings.late)
    const outputs = new OutputCheck({
      settings,
      spec: specOf(settings),
      logs,
      position: (of) => this.#ledger.position(of),
      violated,
    })
    const now = (): number => epochMs
    const { outageMaxMs } = settings
    this.#ledger = new Ledger({ inputs: [input], kafka, logs, outputs, now, outageMaxMs, violated })
    this.#store = new StoreCheck({
      features,
      store: redis.store,
      inputs: [input],
      logs,
      account: (of) => this.#ledger.of(of),
      readTime: (of) => this.#ledger.readTime(of),
      now,
      outageMaxMs,
      violated,
    })
    kafka.onCommit = (transaction) => this.#ledger.commit(transaction)
    redis.onFlush = (bucket, request) => {
      this.#store.checkWatermark(bucket, request.inputName, request.next)
      this.#store.checkParts()
    }
    this.#appendEvents()
    for (const slot of ['a', 'b']) this.#start(slot)
    this.#assign('a')
  }

  readonly violated = (what: string): void => {
    this.violations.push(what)
    this.trace.add(this.timeline.nowMs, 'CHECK', what)
  }

  /** State of the whole world, as far as it can matter for what follows. */
  fingerprint(): string {
    const workers = [...this.#workers.values()].map(({ slot, host, unaware }) => {
      return `${slot} ${host.name} ${host.isUp} ${unaware} ${this.timeline.history(host.name)}`
    })
    const late = [...this.#wire.late].map(({ origin }) => origin)
    const parts = [this.#owner, ...workers, ...late, this.timeline.fingerprint()]
    const all = [...parts, this.#kafka.fingerprint(), this.#redis.fingerprint()].join('\n')
    return textOf(hashOf(all))
  }

  // --- what may happen next -----------------------------------------------------------------------------------------

  /** Empty when the run is over. */
  options(): Option[] {
    if (this.violations.length > 0) return []
    if (this.#steps++ > stepsMax) return this.#end('I8: the run does not come to an end')
    const due = this.timeline.due()
    const first = due[0]
    if (first === undefined) {
      const next = this.#whenQuiet()
      return next === null ? this.#end(null) : [next]
    }
    return [
      usual(first.label, () => this.timeline.take(first)),
      ...this.#otherOrders(due),
      ...this.#faultsAt(first),
      ...(first.server === undefined ? [] : this.#pastDue(first.server)),
    ]
  }

  #otherOrders(due: readonly Pending[]): Option[] {
    const timer = this.timeline.timer()
    const others = due.slice(1)
    return [...others, ...(timer === null ? [] : [timer])].map((pending) => ({
      name: `first: ${pending.label}`,
      faults: 0,
      delays: 1,
      act: () => this.timeline.take(pending),
    }))
  }

  #faultsAt(first: Pending): Option[] {
    const fault = (what: string, act: Option['act']): Option => ({ name: what, faults: 1, delays: 0, act })
    const options = Object.keys(first.choices ?? {}).map((choice) =>
      fault(choice, () => this.timeline.take(first, choice)),
    )
    const { server } = first
    if (server === undefined) return options
    const owner = this.#workers.get(this.#owner)
    if (owner?.host.name === first.who && owner.host.isUp) {
      options.push(fault('thrown out', () => this.#throwOut(owner)))
      options.push(fault('rebalance', () => this.#rebalance(owner)))
    }
    const bucket = /^redis b(\d+)$/.exec(server)
    if (bucket === null) return options
    const index = Number(bucket[1])
    if (this.#redis.store.watermarksNow(index).has(name)) {
      options.push(fault('W lost', () => this.#redis.loseWatermark(index, name)))
      options.push(fault('1 write lost', () => void this.#redis.loseLast(index, 1)))
      options.push(fault('2 writes lost', () => void this.#redis.loseLast(index, 2)))
    }
    if (/ flush /.test(first.label)) {
      options.push(
        fault('torn', () => {
          this.#redis.tearNextScript(calmDice)
          return this.timeline.take(first)
        }),
      )
    }
    return options
  }

  /** What has to happen some time, and may happen just before this server is asked. */
  #pastDue(server: string): Option[] {
    const free = (what: string, act: Option['act']): Option => ({ name: what, faults: 0, delays: 0, act })
    const thaws = this.#frozen().map((worker) =>
      free(`${worker.host.name} goes on`, () => this.#thaw(worker)),
    )
    const lands = [...this.#wire.late]
      .filter((late) => late.server === server)
      .map((late) =>
        free(`lands: ${late.label}`, () => {
          this.#wire.late.delete(late)
          late.land()
        }),
      )
    return [...thaws, ...lands]
  }

  /** Null: nothing is left to happen. */
  #whenQuiet(): Option | null {
    const [frozen] = this.#frozen()
    const [late] = this.#wire.late
    const timer = this.timeline.timer()
    const isDone = this.#lag() === null
    if (frozen && (isDone || timer === null)) {
      return usual(`${frozen.host.name} goes on`, () => this.#thaw(frozen))
    }
    if (late && (isDone || timer === null)) {
      return usual(`lands: ${late.label}`, () => {
        this.#wire.late.delete(late)
        late.land()
      })
    }
    if (timer === null) return null
    const isUnaware = [...this.#workers.values()].some(({ unaware }) => unaware)
    return isDone && !isUnaware ? null : usual(timer.label, () => this.timeline.take(timer))
  }

  #frozen(): Worker[] {
    return [...this.#workers.values()].filter(({ host }) => !host.isUp)
  }

  #lag(): string | null {
    const end = this.#kafka.end(name)
    const position = this.#kafka.committed(name)?.offset ?? -1
    const { length } = this.#options.events
    if (end < length || position < end) return `committed up to ${position} of ${length}`
    const flushed = this.#redis.flushedOffset(name)
    return flushed < end ? `flushed up to ${flushed} of ${end}` : null
  }

  #end(problem: string | null): Option[] {
    const lag = this.#lag()
    if (problem !== null) this.violated(problem)
    if (lag !== null) this.violated(`I8: ${lag} at the end`)
    if (this.#kafka.openTransactions().length > 0) this.violated('I8: readers wait behind a transaction')
    this.#store.checkParts()
    return []
  }

  // --- processes and their group ------------------------------------------------------------------------------------

  #start(slot: string): void {
    const nth = (this.#started.get(slot) ?? 0) + 1
    this.#started.set(slot, nth)
    const { timeline, trace, violated } = this
    const wire = this.#wire
    // Wall clocks stand still: what is written then depends on progress alone, and states meet again.
    const host = new Host(`${slot}${nth}`, timeline, trace, () => epochMs)
    const identities = new SeededDice(seedOf(1, host.name))
    const shared = sharedOf({
      wire,
      host,
      kafka: this.#kafka,
      redis: this.#redis,
      settings,
      depth: this.#options.depth,
      newIdentity: () =>
        identities
          .below(2 ** 32)
          .toString(16)
          .padStart(8, '0'),
      violated,
    })
    const tasks = new TaskGroup({
      setupOf: (of) => ({
        shared,
        input: of,
        source: sourceOf(shared.plan, of.source),
        decoder: simulatedDecoder(wire, host),
      }),
      fatal: (error) => violated(`I8: ${host.name} has to stop: ${String(error)}`),
      rebalanced: () => undefined,
    })
    this.#workers.set(slot, { slot, host, tasks, over: new AbortController(), unaware: false })
  }

  #assign(slot: string): void {
    this.#owner = slot
    const worker = this.#workers.get(slot)!
    this.#mail(worker, 'is assigned', () => {
      this.#tellOver(worker)
      worker.over = new AbortController()
      worker.tasks.assigned([this.#stream(worker)])
    })
  }

  #stream(worker: Worker): InputStream {
    return new SimulatedStream({
      wire: this.#wire,
      kafka: this.#kafka,
      host: worker.host,
      input,
      ended: worker.over.signal,
      isMember: () => this.#owner === worker.slot && !worker.unaware,
    })
  }

  #throwOut(worker: Worker): void {
    this.trace.add(this.timeline.nowMs, 'group', worker.host.name, 'is thrown out')
    worker.unaware = true
    const { over } = worker
    const learn = (): void => {
      if (worker.over === over) this.#tellOver(worker) // not after it has joined again
    }
    this.#mail(worker, 'learns that it was thrown out', learn, heartbeatMs)
    this.#assign(other(worker.slot))
  }

  #tellOver(worker: Worker): void {
    worker.unaware = false
    worker.over.abort(new DOMException('the generation is over', 'AbortError'))
  }

  #rebalance(worker: Worker): void {
    this.trace.add(this.timeline.nowMs, 'group', 'rebalances')
    this.#mail(worker, 'is revoked', () => {
      void worker.tasks.revoking().then(() => {
        if (worker.unaware || this.#owner !== worker.slot) return
        this.#tellOver(worker)
        this.#assign(other(worker.slot))
      })
    })
  }

  #mail({ host }: Worker, what: string, run: () => void, delayMs = 0): void {
    const arrive = (): void => {
      this.trace.add(this.timeline.nowMs, host.name, what)
      host.arrive(run)
    }
    this.timeline.plan({ delayMs, run: arrive, who: host.name, label: `${host.name} ${what}` })
  }

  #crash(host: Host): void {
    const worker = this.#workerOf(host)
    if (worker === null) return
    host.crash()
    this.timeline.forget(host.name)
    this.timeline.stalled.delete(host.name)
    const isOwner = this.#owner === worker.slot
    this.#start(worker.slot)
    if (isOwner) this.#assign(other(worker.slot))
  }

  #stall(host: Host): void {
    const worker = this.#workerOf(host)
    if (worker === null || !host.isUp) return
    host.freeze(Infinity)
    this.timeline.stalled.add(host.name)
    if (this.#owner === worker.slot) this.#throwOut(worker)
  }

  #thaw({ host }: Worker): void {
    this.timeline.stalled.delete(host.name)
    host.thaw()
  }

  #workerOf(host: Host): Worker | null {
    return [...this.#workers.values()].find((worker) => worker.host === host) ?? null
  }

  #appendEvents(): void {
    const kafka = this.#kafka
    kafka.createLog(name)
    for (const [index, letter] of this.#options.events.split('').entries()) {
      const customer = customers.get(letter) ?? null
      const fields = { id: `${name}-${index}`, customer, terminal: null, amount: 1 + index, fraud: false }
      const value = JSON.stringify({ ...fields, time: epochMs - 10_000 + index * 500 })
      this.timeline.at(index * eventGapMs, () => {
        kafka.append(name, rawRecord(input, index, epochMs, value))
      })
    }
  }
}

function usual(what: string, act: Option['act']): Option {
  return { name: what, faults: 0, delays: 0, act }
}

function other(slot: string): string {
  return slot === 'a' ? 'b' : 'a'
}
