import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import type { Admin, Kafka as KafkaClient, Producer } from 'kafkajs'
import { stringify } from 'yaml'
import { Kafka, logLevel, Partitioners } from '../../src/kafka/kafkajs.ts'
import { createTopics } from '../../src/kafka/new-topics.ts'
import type { Prediction } from '../../src/record/prediction.ts'
import { readReplay } from '../../src/service/replay.ts'
import { topicsOf } from '../../src/service/topics.ts'
import { systemClock } from '../../src/time/system-clock.ts'
import { loadTopology } from '../../src/topology/load.ts'
import type { Plan } from '../../src/topology/plan.ts'
import { silentLog } from '../support/kafka-client.ts'
import { modelFile } from '../support/models.ts'
import { readCommitted } from '../support/referee.ts'
import { ServiceProcess } from '../support/service-process.ts'
import type { ReplayedRow } from './compare.ts'
import type { Upload } from './feed.ts'
import { decodedRecord, loggedRecord, type LoggedRecord } from './log.ts'
import { positionOf } from './live.ts'
import type { DrawnTopology } from './topology.ts'
import { eventSchema, topicOf, writtenTopology, type WrittenFor } from './written.ts'

const removeAll = `for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', key) end`
const pollEveryMs = 100
/** Above a takeover from a dead process and what waits for `align`. */
const pollMaxMs = 60_000

/** A drawn topology on real servers: its topics, its logs as they were written, and what became of them. */
export class ServerWorld {
  readonly log: LoggedRecord[] = []
  readonly processes: ServiceProcess[] = []
  readonly #topology: DrawnTopology
  readonly #servers: WrittenFor
  readonly #kafka: KafkaClient
  readonly #admin: Admin
  readonly #producer: Producer
  #dir = ''
  #plan: Plan | null = null

  constructor(topology: DrawnTopology, servers: WrittenFor) {
    this.#topology = topology
    this.#servers = servers
    this.#kafka = new Kafka({ brokers: [...servers.brokers], logLevel: logLevel.NOTHING })
    this.#admin = this.#kafka.admin()
    this.#producer = this.#kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
  }

  get plan(): Plan {
    if (this.#plan === null) throw new Error('the world is not open')
    return this.#plan
  }

  async open(): Promise<void> {
    this.#dir = await mkdtemp(join(tmpdir(), 'millrace-differential-'))
    await writeFile(join(this.#dir, 'event.schema.json'), JSON.stringify(eventSchema))
    await copyFile(modelFile('linear.onnx'), join(this.#dir, 'linear.onnx'))
    const file = join(this.#dir, 'topology.yaml')
    await writeFile(file, stringify(writtenTopology(this.#topology, this.#servers)))
    this.#plan = await loadTopology(file, process.env)
    await Promise.all([this.#admin.connect(), this.#producer.connect()])
    const counts = new Map(
      this.#topology.sources.map(({ name, partitions }) => [topicOf(this.#servers, name), partitions]),
    )
    const topics = topicsOf(this.plan, 1).map(({ topic, settings }) => ({
      topic,
      numPartitions: counts.get(topic) ?? 1,
      configEntries: Object.entries(settings ?? {}).map(([name, value]) => ({ name, value })),
    }))
    await createTopics(this.#admin, topics, systemClock)
  }

  start(): ServiceProcess {
    const name = `service-${this.processes.length + 1}`
    const started = new ServiceProcess(name, join(this.#dir, 'topology.yaml'), 'off')
    this.processes.push(started)
    return started
  }

  /** Appends one record after the other: what was written before stands in the log before. */
  async write(uploads: readonly Upload[]): Promise<void> {
    for (const upload of uploads) {
      const { source, partition, id, time, fields, timestamp } = upload
      const value = JSON.stringify({ id, ts: time, ...fields })
      const message = { key: String(fields['customer']), value, partition, timestamp: String(timestamp) }
      const topic = topicOf(this.#servers, source)
      const [answer] = await this.#producer.send({ topic, messages: [message] })
      this.log.push(loggedRecord(decodedRecord(upload, Number(answer?.baseOffset)), this.log.length))
    }
  }

  /** Waits until the group has committed everything that was written. */
  async caughtUp(): Promise<void> {
    const giveUpAt = systemClock.monotonic() + pollMaxMs
    while (!(await this.#isCaughtUp())) {
      if (this.processes.every(({ exit }) => exit !== null)) throw new Error('nobody runs')
      if (systemClock.monotonic() > giveUpAt) throw new Error('waited too long until all is committed')
      await systemClock.sleep(pollEveryMs)
    }
  }

  async #isCaughtUp(): Promise<boolean> {
    const topics = this.plan.sources.map(({ topic }) => topic)
    const committed = await this.#admin.fetchOffsets({ groupId: this.plan.kafka.group, topics })
    const ends = Map.groupBy(this.log, ({ input }) => topicOf(this.#servers, input))
    return [...ends].every(([input, records]) => {
      const at = committed
        .flatMap(({ topic, partitions }) =>
          partitions.map(({ partition, offset }) => ({ input: `${topic}:${partition}`, offset })),
        )
        .find((one) => one.input === input)
      return Number(at?.offset ?? -1) >= records.length
    })
  }

  /** What was published, by position in the drawn sources; what was not is a dead letter. */
  async published(): Promise<ReadonlyMap<string, Prediction | null>> {
    const records = await readCommitted(this.#servers.brokers, topicOf(this.#servers, 'predictions'))
    const predictions = records.map(({ value }) => this.#renamed(JSON.parse(value ?? 'null') as Prediction))
    return this.#byPosition(predictions.map((made) => [positionOf(made.position), made] as const))
  }

  /** With the names of the drawn sources for topics. */
  #renamed(made: Prediction): Prediction {
    const nameOf = (topic: string): string => topic.slice(topicOf(this.#servers, '').length)
    const watermarks = Object.fromEntries(
      Object.entries(made.watermarks ?? {}).map(([input, offset]) => [nameOf(input), offset]),
    )
    return { ...made, position: { ...made.position, topic: nameOf(made.position.topic) }, watermarks }
  }

  /** Rows of `millrace replay` over the same topics. */
  async replayed(): Promise<ReadonlyMap<string, ReplayedRow | null>> {
    const rows: (readonly [string, ReplayedRow])[] = []
    const options = {
      plan: this.plan,
      clock: systemClock,
      log: silentLog,
      labels: null,
      asOf: Infinity,
    }
    const { scored } = this.#topology.spec
    await readReplay(
      options,
      async ({ partition, offset, numbers, flags }) => {
        rows.push([`${scored}:${partition}:${offset}`, { numbers, flags }])
      },
      AbortSignal.timeout(pollMaxMs),
    )
    return this.#byPosition(rows)
  }

  #byPosition<T>(found: readonly (readonly [string, T])[]): ReadonlyMap<string, T | null> {
    const byPosition = new Map<string, T | null>()
    for (const { source, raw } of this.log) {
      if (source === this.#topology.spec.scored) byPosition.set(positionOf(raw), null)
    }
    for (const [position, row] of found) {
      if (byPosition.get(position) !== null) throw new Error(`${position} a second time, or from nowhere`)
      byPosition.set(position, row)
    }
    return byPosition
  }

  async close(): Promise<void> {
    await Promise.all(this.processes.map((one) => one.kill()))
    const redis = new Redis(this.#servers.redisUrl)
    await redis.eval(removeAll, 0, `millrace:${this.#servers.name}:*`)
    redis.disconnect()
    await Promise.all([this.#admin.disconnect(), this.#producer.disconnect()])
    await rm(this.#dir, { recursive: true, force: true })
  }
}
