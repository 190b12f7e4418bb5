import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { parseWatermark } from '../../src/pipeline/watermark.ts'
import { Kafka, logLevel } from '../../src/kafka/kafkajs.ts'
import { systemClock } from '../../src/time/system-clock.ts'
import type { Random } from '../../src/simulator/random.ts'
import { CardWorld } from '../support/card-world.ts'
import { changed } from '../support/service-topology.ts'
import type { RedisNode } from '../support/redis/node.ts'
import { CommitMeter } from './commit-meter.ts'
import type { Scenario } from './scenario.ts'
import { lastWords, Seat } from './seat.ts'
import type { FaultStack } from './stack.ts'
import { openStore, type Store } from './store.ts'
import { SteadyTraffic } from './traffic.ts'

export const defaultSessionTimeout = '3s'
const lookEveryMs = 50
/** Redis is compared with what is committed. */
const watchEveryMs = 200
/**
 * An acknowledged commit is seen within this time once the coordinator answers: it is acknowledged before its markers are
 * written. A broker that comes back answers before it has written them; several write them over the network and wait for
 * leaders: where the one that died led the offsets, until there is another, and until that has read the group (seen: 7 s).
 */
const commitSeenMs = { 1: 5_000, 3: 15_000 } as const
/** Above the longest takeover: session timeout, rebuild, a broker's return on two busy cores. */
export const waitMaxMs = 90_000

/** Unexpected ends in one scenario, after which there is no sense in going on. */
const surprisesMax = 5

/** Topics, Redis, processes and steady traffic of one scenario. */
export class FaultWorld {
  readonly stack: FaultStack
  readonly scenario: Scenario
  readonly store: Store
  readonly card: CardWorld
  readonly seats: readonly Seat[]
  readonly traffic: SteadyTraffic
  readonly meter: CommitMeter
  /** What must not have happened and the logs do not show. */
  readonly violations: string[] = []
  readonly #watch = new AbortController()
  #surprises = 0
  #watching: Promise<void> = Promise.resolve()
  #opened: AsyncDisposableStack | null = null

  private constructor(
    stack: FaultStack,
    scenario: Scenario,
    store: Store,
    card: CardWorld,
    seats: readonly Seat[],
    traffic: SteadyTraffic,
    meter: CommitMeter,
  ) {
    this.stack = stack
    this.scenario = scenario
    this.store = store
    this.card = card
    this.seats = seats
    this.traffic = traffic
    this.meter = meter
  }

  /** Starts everything; resolves when all partitions are served. */
  static async open(stack: FaultStack, scenario: Scenario, seed: number): Promise<FaultWorld> {
    const { partitions = 4, rate = 300, processes } = scenario
    const dir = await mkdtemp(join(stack.dir, `${scenario.name}-`))
    await using opening = new AsyncDisposableStack()
    const store = await openStore(scenario.stack.redis, dir)
    opening.defer(() => store.close())
    const labels = scenario.traffic?.labels ?? false
    const card = new CardWorld(
      dir,
      { brokers: stack.brokers, redisUrl: store.url, sessionTimeout: defaultSessionTimeout },
      { partitions, labels, redisUrl: store.url, change: scenario.topology ?? {} },
    )
    opening.defer(() => card.close())
    await card.open()
    const kafka = new Kafka({ brokers: stack.brokers, logLevel: logLevel.NOTHING })
    const seats: Seat[] = []
    for (let index = 0; index < processes; index++) {
      const route = await stack.route(index, store)
      opening.defer(() => route.close())
      const named = scenario.named ? { kafka: { instance: `seat-${index}` } } : {}
      seats.push(
        new Seat(index, route, (change) => card.startChanged(changed(change, named), { http: true })),
      )
    }
    const traffic = new SteadyTraffic(kafka, card.topics, rate, {
      seed,
      partitions,
      customers: 120,
      ...scenario.traffic,
    })
    const meter = new CommitMeter(kafka, card.plan.kafka.group, card.sourceTopics, () => traffic.ends)
    opening.defer(() => meter.close())
    opening.defer(() => traffic.close())
    const world = new FaultWorld(stack, scenario, store, card, seats, traffic, meter)
    await Promise.all(seats.map((seat) => seat.start()))
    await traffic.open()
    meter.open()
    await world.steady()
    world.#watching = world.#watchRedis()
    world.#opened = opening.move()
    return world
  }

  /** The Redis of a stack with one. */
  get redis(): RedisNode {
    if (this.store.node === null) throw new Error('this stack has no standalone Redis')
    return this.store.node
  }
  get topic(): string {
    return this.card.topics.transactions
  }
  get partitions(): number[] {
    return Array.from({ length: this.card.partitions }, (_, partition) => partition)
  }
  get running(): Seat[] {
    return this.seats.filter((seat) => seat.isRunning)
  }

  /** A running seat that owns something, drawn; waits until there is one. */
  async victim(random: Random): Promise<Seat> {
    const owners = (): Seat[] =>
      this.running.filter((seat) => !seat.isAsleep && seat.partitions(this.topic).length > 0)
    await this.until('somebody owns a partition', () => owners().length > 0)
    const drawn = owners()
    return drawn[random.below(drawn.length)] as Seat
  }

  /** It serves partitions that nobody else believes to serve, and all of them were committed since then. */
  isSoleOwner(seat: Seat, since: number): boolean {
    const own = seat.partitions(this.topic)
    const others = new Set(
      this.running.filter((one) => one !== seat).flatMap((one) => one.partitions(this.topic)),
    )
    return (
      own.length > 0 &&
      own.every((one) => !others.has(one) && this.meter.movedSince(`${this.topic}:${one}`, since))
    )
  }

  /** Starts the seats whose process has ended. */
  async refill(): Promise<void> {
    await Promise.all(this.seats.filter((seat) => !seat.isRunning).map((seat) => seat.start()))
  }

  /** Waits, and fails when a process ends that nobody ended. */
  async until(what: string, look: () => boolean | Promise<boolean>, maxMs = waitMaxMs): Promise<void> {
    const giveUpAt = systemClock.monotonic() + maxMs
    while (!(await look())) {
      await this.noteEnds()
      if (systemClock.monotonic() > giveUpAt) throw new Error(`waited ${maxMs / 1000} s until ${what}`)
      await systemClock.sleep(lookEveryMs)
    }
  }

  /** Every seat runs and owns its share, every partition moves, and the lag is small. */
  async steady(): Promise<void> {
    const since = systemClock.monotonic()
    let missing = ''
    try {
      await this.until('all is well', () => {
        missing = this.#missing(since)
        return missing === ''
      })
    } catch (error) {
      throw new Error(`${error instanceof Error ? error.message : String(error)}: ${missing}`, {
        cause: error,
      })
    }
  }

  #missing(since: number): string {
    const shares = this.seats.map((seat) => (seat.isRunning ? seat.partitions(this.topic) : []))
    const owned = shares.flat()
    if (owned.length !== this.card.partitions || new Set(owned).size !== owned.length)
      return `partitions ${owned.join(', ')} are served`
    if (this.seats.length <= owned.length && shares.some(({ length }) => length === 0))
      return 'some process serves nothing'
    const still = this.partitions
      .filter((partition) => !this.scenario.idle?.includes(partition))
      .filter((partition) => !this.meter.movedSince(`${this.topic}:${partition}`, since))
    if (still.length > 0) return `partitions ${still.join(', ')} stand still`
    return this.meter.lag <= this.normalLag ? '' : `${this.meter.lag} records are not committed`
  }

  /** Records that are under way although all is well: half a second of traffic. */
  get normalLag(): number {
    return this.traffic.rate / 2
  }

  /** A process that ended by itself: allowed by the scenario and replaced, or a violation. */
  async noteEnds(): Promise<void> {
    for (const seat of this.seats) {
      if (seat.isRunning || seat.isEnding) continue
      const { process } = seat
      const code = process.exit?.code ?? null
      if (code === null || !(this.scenario.exits ?? []).includes(code)) {
        this.violations.push(
          `${process.name} ended by itself with ${code ?? process.exit?.signal}: ${lastWords(process)}`,
        )
        if (++this.#surprises > surprisesMax) throw new Error('processes end again and again')
      }
      await seat.start()
    }
  }

  /** I6 while it runs: what Redis holds was committed before. */
  async #watchRedis(): Promise<void> {
    while (!this.#watch.signal.aborted) {
      await systemClock.sleep(watchEveryMs, this.#watch.signal).catch(() => undefined)
      const watermarks = await this.store.watermarks(this.card.namespace).catch(() => [])
      for (const [input, texts] of Map.groupBy(watermarks, ([name]) => name)) {
        const w = Math.max(...texts.map(([, text]) => parseWatermark(text)?.offset ?? 0))
        if (!(await this.#isCommittedTo(input, w)))
          this.violations.push(
            `I6: Redis holds ${input} up to ${w}, committed is ${this.meter.offset(input)}`,
          )
      }
    }
  }

  /** A commit may be acknowledged some milliseconds before a reader of the group's offsets sees it, so it is asked again. */
  async #isCommittedTo(input: string, offset: number): Promise<boolean> {
    const since = systemClock.monotonic()
    while (this.meter.offset(input) < offset && !this.#watch.signal.aborted) {
      // A coordinator that does not answer convicts nobody.
      const answering = Math.max(since, this.meter.answeringSince)
      if (this.meter.lookedAt > answering + commitSeenMs[this.stack.kind.nodes]) return false
      await this.meter.next()
    }
    return true
  }

  /** The log of every process. */
  logs(): ReadonlyMap<string, string> {
    return new Map(this.card.processes.map((one) => [one.name, one.tail(Infinity)]))
  }

  async close(): Promise<void> {
    this.#watch.abort()
    await this.#watching
    for (const seat of this.seats) seat.isEnding = true
    await this.#opened?.disposeAsync()
  }
}
