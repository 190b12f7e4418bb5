import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import type { Admin, Kafka as KafkaClient, Producer } from 'kafkajs'
import { Kafka, logLevel, Partitioners } from '../../src/kafka/kafkajs.ts'
import { createTopics } from '../../src/kafka/new-topics.ts'
import { parseMetadata } from '../../src/pipeline/metadata.ts'
import { parseWatermark } from '../../src/pipeline/watermark.ts'
import { namespaceOf } from '../../src/service/service.ts'
import { topicsOf } from '../../src/service/topics.ts'
import { systemClock } from '../../src/time/system-clock.ts'
import { loadTopology } from '../../src/topology/load.ts'
import type { Plan } from '../../src/topology/plan.ts'
import type { InputRecord } from './service-records.ts'
import { ServiceProcess } from './service-process.ts'
import { uniqueName } from './unique-name.ts'
import { patienceMs } from './until.ts'
import { cardTopology, changed, writeTopology, type CardTopics, type Written } from './service-topology.ts'

/** The servers that a world lives on, and how short a session they allow. */
export interface WorldServers {
  readonly brokers: readonly string[]
  readonly redisUrl: string
  /** As a topology writes it. */
  readonly sessionTimeout: string
}

export interface WorldOptions {
  readonly partitions?: number
  readonly labels?: boolean
  readonly model?: string
  /** A Redis of the test's own. */
  readonly redisUrl?: string
  /** Laid over the test topology. */
  readonly change?: Written
}

/** A record of the source log. */
export interface LoggedInput extends InputRecord {
  readonly topic: string
  readonly offset: number
  /** As many records of the world's `input` were acknowledged before this one was sent; 0: not known. */
  readonly writtenAfter?: number
}

export interface Position {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly metadata: string
}

export interface StartOptions {
  readonly http?: boolean
  /** As `--processes`. */
  readonly processes?: number
}

/** Topics, group, namespace and processes of one card topology. `close` ends the processes and removes what is in Redis. */
export class CardWorld {
  readonly brokers: readonly string[]
  readonly topics: CardTopics
  readonly partitions: number
  readonly redis: Redis
  readonly processes: ServiceProcess[] = []
  /** The source logs, in the order written. */
  readonly input: LoggedInput[] = []
  file = ''
  readonly #kafka: KafkaClient
  readonly #options: WorldOptions
  readonly #name = uniqueName('svc')
  readonly #dir: string
  #names = 0
  #topology: Written
  #plan: Plan | null = null
  #admin: Admin | null = null
  #producer: Producer | null = null
  readonly #committed = new Map<string, number>()

  constructor(dir: string, servers: WorldServers, options: WorldOptions = {}) {
    this.#dir = dir
    this.brokers = servers.brokers
    this.#kafka = new Kafka({ brokers: [...servers.brokers], logLevel: logLevel.NOTHING })
    this.#options = options
    this.partitions = options.partitions ?? 4
    const source = `${this.#name}.tx`
    this.topics = {
      transactions: source,
      labels: `${this.#name}.labels`,
      predictions: `${this.#name}.predictions`,
      alerts: `${this.#name}.alerts`,
      deadLetters: `dlq.${source}`,
    }
    const url = options.redisUrl ?? servers.redisUrl
    this.redis = new Redis(url, { lazyConnect: true })
    this.redis.on('error', () => undefined) // some tests stop Redis
    const written = cardTopology({
      name: this.#name,
      brokers: servers.brokers,
      redisUrl: url,
      topics: this.topics,
      sessionTimeout: servers.sessionTimeout,
      labels: options.labels ?? false,
      model: options.model ?? 'linear.onnx',
    })
    this.#topology = changed(written, options.change ?? {})
  }

  get plan(): Plan {
    if (this.#plan === null) throw new Error('the world is not open')
    return this.#plan
  }
  get namespace(): string {
    return namespaceOf(this.plan)
  }

  async open(): Promise<void> {
    await this.retopology({})
    this.#admin = this.#kafka.admin()
    await this.#admin.connect()
    const topics = topicsOf(this.plan, this.partitions).map(({ topic, partitions, settings }) => ({
      topic,
      numPartitions: partitions,
      configEntries: Object.entries(settings ?? {}).map(([name, value]) => ({ name, value })),
    }))
    await createTopics(this.#admin, topics, systemClock)
    this.#producer = this.#kafka.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      createPartitioner: Partitioners.DefaultPartitioner,
    })
    await this.#producer.connect()
  }

  /** Changes the topology file; processes started from now on read it. */
  async retopology(change: Written): Promise<void> {
    this.#topology = changed(this.#topology, change)
    this.file = await writeTopology(this.#dir, this.#topology)
    this.#plan = await loadTopology(this.file, process.env)
  }

  start({ http = false, processes }: StartOptions = {}): ServiceProcess {
    const more = processes === undefined ? [] : ['--processes', String(processes)]
    return this.#started(this.#nextName(), this.file, http, more)
  }

  /** As `start`, with `change` laid over the topology of this process alone: other ways to the same servers. */
  async startChanged(change: Written, { http = false }: StartOptions = {}): Promise<ServiceProcess> {
    const name = this.#nextName()
    const file = await writeTopology(join(this.#dir, name), changed(this.#topology, change))
    return this.#started(name, file, http)
  }

  #nextName(): string {
    return `service-${++this.#names}`
  }

  #started(name: string, file: string, http: boolean, more: readonly string[] = []): ServiceProcess {
    const started = new ServiceProcess(name, file, http ? '127.0.0.1:0' : 'off', more)
    this.processes.push(started)
    return started
  }

  /** Appends records to the source logs, in order. */
  async write(records: readonly InputRecord[]): Promise<void> {
    const byPlace = Map.groupBy(records, ({ source, partition }) => `${source}:${partition}`)
    for (const group of byPlace.values()) {
      const topic = this.topics[group[0]!.source]
      for (let at = 0; at < group.length; at += sendRowsMax) {
        const some = group.slice(at, at + sendRowsMax)
        const writtenAfter = this.input.length
        const [answer] = await this.producer.send({ topic, messages: some.map(message) })
        this.log(some, Number(answer?.baseOffset), writtenAfter)
      }
    }
  }

  /** Remembers records of one partition as written at `baseOffset` and behind. */
  log(records: readonly InputRecord[], baseOffset: number, writtenAfter = 0): void {
    for (const [index, record] of records.entries()) {
      const topic = this.topics[record.source]
      this.input.push({ ...record, topic, offset: baseOffset + index, writtenAfter })
    }
  }

  get producer(): Producer {
    if (this.#producer === null) throw new Error('the world is not open')
    return this.#producer
  }
  get admin(): Admin {
    if (this.#admin === null) throw new Error('the world is not open')
    return this.#admin
  }
  get kafka(): KafkaClient {
    return this.#kafka
  }
  get sourceTopics(): string[] {
    return this.plan.sources.map(({ topic }) => topic)
  }

  /** What the group has committed; partitions without a position are left out. */
  async positions(): Promise<Position[]> {
    const answer = await this.#fetchOffsets()
    return answer.flatMap(({ topic, partitions }) =>
      partitions
        .map(({ partition, offset, metadata }) => ({
          topic,
          partition,
          offset: Number(offset),
          metadata: metadata ?? '',
        }))
        .filter(({ offset }) => offset >= 0),
    )
  }

  async #fetchOffsets(): Promise<Awaited<ReturnType<Admin['fetchOffsets']>>> {
    const request = { groupId: this.plan.kafka.group, topics: this.sourceTopics }
    for (let tries = 0; ; tries++) {
      try {
        return await this.admin.fetchOffsets(request)
      } catch (error) {
        // A coordinator is chosen with the first use of a new broker.
        if (!(error as { retriable?: boolean }).retriable || tries > 50) throw error
        await systemClock.sleep(pollEveryMs)
      }
    }
  }

  /**
   * Waits until everything in the source logs is committed, and meanwhile checks that offsets never go back (I4) and
   * that Redis never holds more than is committed (I6).
   */
  async caughtUp(): Promise<void> {
    await this.#poll('everything is committed', async () => {
      const positions = await this.#observe()
      for (const topic of this.sourceTopics) {
        for (const { partition, high } of await this.admin.fetchTopicOffsets(topic)) {
          const at = positions.find((one) => one.topic === topic && one.partition === partition)
          if ((at?.offset ?? 0) < Number(high)) return false
        }
      }
      return true
    })
  }

  /** Waits until at least `records` records of the scored source are committed. */
  async committed(records: number): Promise<void> {
    await this.#poll(`${records} records are committed`, async () => {
      const positions = await this.#observe()
      const own = positions.filter(({ topic }) => topic === this.topics.transactions)
      return own.reduce((sum, { offset }) => sum + offset, 0) >= records
    })
  }

  /** Waits until Redis holds all that is committed. */
  async flushed(): Promise<void> {
    await this.#poll('everything is in Redis', async () => {
      const watermarks = await this.watermarks()
      const positions = await this.positions()
      return positions.every(
        ({ topic, partition, offset }) => watermarks.get(`${topic}:${partition}`) === offset,
      )
    })
  }

  /** Watermarks W in Redis, parsed, by input. */
  async watermarks(): Promise<Map<string, number>> {
    const texts = await this.redis.hgetall(this.watermarkKey)
    const entries = Object.entries(texts).map(([input, text]) => [input, parseWatermark(text)] as const)
    return new Map(entries.flatMap(([input, w]) => (w === null ? [] : [[input, w.offset] as const])))
  }
  get watermarkKey(): string {
    return `${this.namespace}:{0}:W`
  }

  /** Names of all keys of this world in Redis. */
  async keys(): Promise<string[]> {
    const keys: string[] = []
    for await (const some of this.redis.scanStream({ match: `${this.namespace}:*`, count: 1000 })) {
      keys.push(...(some as string[]))
    }
    return keys
  }

  /** Deletes what Redis holds of this world, as FLUSHALL would. */
  async forget(): Promise<void> {
    // One script, as FLUSHALL is one command: nothing survives between two of its steps.
    const script = `for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', key) end`
    await this.redis.eval(script, 0, `${this.namespace}:*`)
  }

  /** A copy of what Redis holds of this world, which can be put back: Redis went back in time. */
  async snapshot(): Promise<{ restore(): Promise<void> }> {
    const dump = `
      local out = {}
      for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
        out[#out + 1] = key
        out[#out + 1] = redis.call('DUMP', key)
      end
      return out`
    const saved = (await this.redis.callBuffer('EVAL', dump, '0', `${this.namespace}:*`)) as Buffer[]
    const restore = `
      for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', key) end
      for i = 2, #ARGV, 2 do redis.call('RESTORE', ARGV[i], 0, ARGV[i + 1]) end`
    return {
      restore: async () => {
        await this.redis.call('EVAL', restore, '0', `${this.namespace}:*`, ...saved)
      },
    }
  }

  async #observe(): Promise<Position[]> {
    const watermarks =
      this.#options.redisUrl === undefined ? await this.watermarks() : new Map<string, number>()
    const positions = await this.positions()
    for (const { topic, partition, offset, metadata } of positions) {
      const input = `${topic}:${partition}`
      const incarnation = parseMetadata(metadata)?.incarnation ?? 'none'
      const before = this.#committed.get(`${input}|${incarnation}`) ?? -1
      if (offset < before) throw new Error(`I4: ${input} went back from ${before} to ${offset}`)
      this.#committed.set(`${input}|${incarnation}`, offset)
    }
    for (const [input, w] of watermarks) await this.#notAhead(input, w)
    return positions
  }

  /** A commit may be acknowledged some milliseconds before a reader of the group's offsets sees it. */
  async #notAhead(input: string, w: number): Promise<void> {
    for (let tries = 0; ; tries++) {
      const at = (await this.positions()).find(({ topic, partition }) => `${topic}:${partition}` === input)
      if ((at?.offset ?? 0) >= w) return
      if (tries > 20) throw new Error(`I6: Redis holds ${input} up to ${w}, committed is ${at?.offset}`)
      await systemClock.sleep(pollEveryMs)
    }
  }

  /** Polls; fails at once when a running process fails, or when none is left. */
  async #poll(what: string, look: () => Promise<boolean>): Promise<void> {
    const giveUpAt = systemClock.monotonic() + patienceMs
    const running = this.processes.filter(({ exit }) => exit === null)
    while (!(await look())) {
      const failed = running.find(({ exit }) => exit !== null && exit.code !== null && exit.code !== 0)
      if (failed) throw new Error(`${failed.name} ended with ${failed.exit?.code} before ${what}`)
      if (running.every(({ exit }) => exit !== null)) throw new Error(`nobody runs, and not yet ${what}`)
      if (systemClock.monotonic() > giveUpAt) throw new Error(`waited too long until ${what}`)
      await systemClock.sleep(pollEveryMs)
    }
  }

  /** Logs of all processes, their last lines. */
  tail(): string {
    return this.processes.map((one) => one.tail(60)).join('\n')
  }

  async close(): Promise<void> {
    await Promise.all(this.processes.map((one) => one.kill()))
    await this.#producer?.disconnect()
    await this.#admin?.disconnect()
    if (this.#options.redisUrl === undefined) await this.redis.eval(removeAll, 0, `millrace:${this.#name}:*`)
    this.redis.disconnect()
    await rm(this.#dir, { recursive: true, force: true })
  }
}

const removeAll = `for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', key) end`
const pollEveryMs = 100
/** Keeps a request below the broker's 1 MB. */
const sendRowsMax = 2_000

/** As kafkajs takes it. */
export function message({ key, value, partition, timestampMs, headers }: InputRecord): {
  key: string | null
  value: string | null
  partition: number
  timestamp: string
  headers?: Record<string, string>
} {
  return {
    key,
    value,
    partition,
    timestamp: String(timestampMs),
    ...(headers === undefined ? {} : { headers: { ...headers } }),
  }
}
