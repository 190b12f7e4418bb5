import { sourceOf } from '../../src/pipeline/partition-context.ts'
import { TaskGroup } from '../../src/pipeline/task-group.ts'
import { inputName, type InputPartition } from '../../src/record/input.ts'
import type { Prediction } from '../../src/record/prediction.ts'
import type { Plan } from '../../src/topology/plan.ts'
import { SeededDice, seedOf } from '../simulation/dice.ts'
import { GivenFaults } from '../simulation/faults.ts'
import { Group, sessionTimeoutMs } from '../simulation/group.ts'
import { Host } from '../simulation/host.ts'
import { Kafka } from '../simulation/kafka.ts'
import { Redis } from '../simulation/redis.ts'
import { epochMs, Scheduler } from '../simulation/scheduler.ts'
import type { Trace } from '../simulation/trace.ts'
import { LossyWire } from '../simulation/wire.ts'
import type { Upload } from './feed.ts'
import { decodedRecord, loggedRecord, type LoggedRecord } from './log.ts'
import { decoder, sharedOf, type MadeOutput } from './process.ts'
import type { Sabotage } from './sabotage.ts'
import type { DrawnTopology } from './topology.ts'

export interface LiveParts {
  readonly topology: DrawnTopology
  readonly plan: Plan
  readonly uploads: readonly Upload[]
  readonly stops: readonly string[]
  readonly seed: number
  readonly trace: Trace
  readonly sabotage: Sabotage
}

/** What the service published, and the logs it read. */
export interface LiveRun {
  readonly log: readonly LoggedRecord[]
  /** By position of the scored event; null: a dead letter. */
  readonly outcomes: ReadonlyMap<string, Prediction | null>
  readonly problems: readonly string[]
  readonly steps: number
}

interface Worker {
  readonly host: Host
  readonly tasks: TaskGroup
}

/** Virtual ms after the last record within which everything must be committed. */
const settledWithinMs = 120_000

export function positionOf({ topic, partition, offset }: Prediction['position']): string {
  return `${topic}:${partition}:${offset}`
}

/** Stops of processes as text: `kill a@1200`, `drain b@300`. */
export function drawStops(seed: number, lastMs: number): readonly string[] {
  const dice = new SeededDice(seedOf(seed, 'stops'))
  const stops = dice.pick([0, 0, 0, 1, 2])
  return Array.from({ length: stops }, () => {
    const what = dice.pick(['kill', 'drain'])
    return `${what} ${dice.pick(['a', 'b'])}@${dice.between(100, Math.max(800, lastMs))}`
  })
}

/** Two processes of the real pipeline over servers in memory: nothing is lost, but they may be stopped. */
export async function runLive(parts: LiveParts): Promise<LiveRun> {
  const world = new LiveWorld(parts)
  await world.run()
  const { log, outcomes, problems, scheduler } = world
  return { log, outcomes, problems, steps: scheduler.steps }
}

class LiveWorld {
  readonly log: LoggedRecord[] = []
  readonly outcomes = new Map<string, Prediction | null>()
  readonly problems: string[] = []
  readonly scheduler: Scheduler
  readonly #parts: LiveParts
  readonly #inputs: readonly InputPartition[]
  readonly #wire: LossyWire
  readonly #kafka: Kafka
  readonly #redis: Redis
  readonly #group: Group
  readonly #workers = new Map<string, Worker>()
  readonly #started = new Map<string, number>()

  constructor(parts: LiveParts) {
    this.#parts = parts
    const { trace, topology, plan } = parts
    const scheduler = new Scheduler(parts.seed)
    this.scheduler = scheduler
    this.#inputs = topology.sources.flatMap(({ name, partitions }) =>
      Array.from({ length: partitions }, (_, partition) => ({ source: name, topic: name, partition })),
    )
    this.#wire = new LossyWire(scheduler, new GivenFaults(scheduler, [], 0), trace)
    this.#kafka = new Kafka(scheduler, trace, { fences: true, transactionTimeoutMs: 600_000 })
    this.#redis = new Redis({
      buckets: topology.buckets,
      timeline: scheduler,
      trace,
      layouts: plan.features.layouts,
    })
    this.#group = new Group(this.#wire, this.#kafka, this.#inputs)
    for (const input of this.#inputs) this.#kafka.createLog(inputName(input))
    this.#kafka.onCommit = ({ outputs }) => this.#publish(outputs as MadeOutput[])
  }

  async run(): Promise<void> {
    const { uploads, stops, topology } = this.#parts
    for (const upload of uploads) {
      if (upload.atMs < 0) this.#append(upload)
      else this.scheduler.at(upload.atMs, () => this.#append(upload))
    }
    for (const slot of ['a', 'b'].slice(0, topology.processes)) this.#start(slot)
    for (const stop of stops) {
      const [, what, slot, atMs] = /^(kill|drain) (\w+)@(\d+)$/.exec(stop) ?? []
      this.scheduler.at(Number(atMs), () => this.#stop(slot ?? '', what === 'kill'))
    }
    const lastMs = Math.max(0, ...uploads.map(({ atMs }) => atMs))
    let isDone = false
    const watch = (): void => {
      isDone = this.scheduler.nowMs > lastMs && this.#lag() === null
      if (!isDone) this.scheduler.at(100, watch)
    }
    watch()
    const over = (): boolean => isDone || this.problems.length > 0
    await this.scheduler.run(over, lastMs + settledWithinMs)
    if (!over()) this.problems.push(`stuck: ${this.#lag()}`)
  }

  #append(upload: Upload): void {
    const name = inputName({ topic: upload.source, partition: upload.partition })
    const raw = decodedRecord(upload, this.#kafka.end(name))
    this.log.push(loggedRecord(raw, this.log.length))
    this.#parts.trace.add(this.scheduler.nowMs, 'kafka', 'gets', upload.id)
    this.#kafka.append(name, raw)
  }

  #publish(outputs: readonly MadeOutput[]): void {
    for (const { made } of outputs) {
      const isDead = 'rejected' in made
      this.outcomes.set(positionOf(isDead ? made.raw : made.position), isDead ? null : made)
    }
  }

  #lag(): string | null {
    const behind = this.#inputs.map(inputName).filter((name) => {
      return (this.#kafka.committed(name)?.offset ?? -1) !== this.#kafka.end(name)
    })
    return behind.length === 0 ? null : `${behind.join()} not committed to the end`
  }

  #start(slot: string): void {
    const { scheduler } = this
    const { plan, topology, trace } = this.#parts
    const nth = (this.#started.get(slot) ?? 0) + 1
    this.#started.set(slot, nth)
    const name = `${slot}${nth}`
    const host = new Host(name, scheduler, trace, () => epochMs + scheduler.nowMs)
    const identities = scheduler.seededDice(`${name} identities`)
    const honest = sharedOf({
      wire: this.#wire,
      host,
      kafka: this.#kafka,
      redis: this.#redis,
      plan,
      inputs: this.#inputs,
      depth: topology.depth,
      newIdentity: () =>
        identities
          .below(2 ** 32)
          .toString(16)
          .padStart(8, '0'),
      violated: (what) => this.problems.push(what),
    })
    const shared = this.#parts.sabotage.shared?.(honest) ?? honest
    const tasks = new TaskGroup({
      setupOf: (input) => ({ shared, input, source: sourceOf(plan, input.source), decoder }),
      fatal: (error) => this.problems.push(`${name} has to stop: ${stackOf(error)}`),
      rebalanced: () => undefined,
    })
    this.#workers.set(slot, { host, tasks })
    host.onCrash = () => {
      this.#workers.delete(slot)
      scheduler.at(sessionTimeoutMs, () => this.#group.forget(host))
      scheduler.at(scheduler.seededDice(`${name} restart`).between(50, 3_000), () => this.#start(slot))
    }
    host.deliver(scheduler.seededDice(`${name} start`).between(0, 100), () => this.#group.join(host, tasks))
  }

  #stop(slot: string, kills: boolean): void {
    const worker = this.#workers.get(slot)
    if (worker === undefined) return
    const { host, tasks } = worker
    if (kills) return host.crash()
    host.deliver(0, () => {
      void tasks.drain().then(() => host.crash())
    })
  }
}

function stackOf(error: unknown): string {
  return error instanceof Error
    ? (error.stack ?? error.message).split('\n').slice(0, 6).join(' ')
    : String(error)
}
