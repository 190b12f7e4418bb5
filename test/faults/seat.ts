import type { LogLine, ServiceProcess } from '../support/service-process.ts'
import type { Written } from '../support/service-topology.ts'
import { ruleOn, type RuleHandle, type Wire, type WireRule } from './wire/proxy.ts'

/** The ways of one service process to the servers. Its processes come and go; the ways stay. */
export interface Route {
  /** Laid over the topology: the addresses of the wires. */
  readonly change: Written
  /** One per broker. */
  readonly kafka: readonly Wire[]
  readonly redis: readonly Wire[]
  close(): Promise<void>
}

export function lastWords({ lines }: ServiceProcess): string {
  const words = lines.slice(-8).map(({ msg, code = '', detail = '' }) => `${code} ${msg} ${detail}`.trim())
  return words.join(' | ').slice(-600)
}

/** A place for one service process at a time. */
export class Seat {
  readonly index: number
  readonly route: Route
  readonly #start: (change: Written) => Promise<ServiceProcess>
  #process: ServiceProcess | null = null
  #starting: Promise<ServiceProcess> | null = null
  /** The end of its process is the scenario's doing. */
  isEnding = false
  /** Stopped by SIGSTOP. */
  isAsleep = false

  constructor(index: number, route: Route, start: (change: Written) => Promise<ServiceProcess>) {
    this.index = index
    this.route = route
    this.#start = start
  }

  get process(): ServiceProcess {
    if (this.#process === null) throw new Error(`seat ${this.index} is empty`)
    return this.#process
  }
  get name(): string {
    return this.process.name
  }
  get isRunning(): boolean {
    return this.#starting !== null || (this.#process !== null && this.#process.exit === null)
  }

  /** Its next process; nothing is waited for but its topology file. */
  start(): Promise<ServiceProcess> {
    this.isEnding = false
    this.#starting ??= this.#begin()
    return this.#starting
  }

  async #begin(): Promise<ServiceProcess> {
    try {
      this.#process = await this.#start(this.route.change)
      return this.#process
    } finally {
      this.#starting = null
    }
  }

  /** SIGKILL; resolves when it is gone. */
  async kill(): Promise<void> {
    await this.#starting
    this.isEnding = true
    this.isAsleep = false
    await this.process.kill()
  }

  /** SIGTERM; resolves when it is gone, with what was wrong about its end: null when it ended with 0. */
  async stop(): Promise<string | null> {
    this.isEnding = true
    const { process } = this
    const { code, signal } = await process.stop()
    return code === 0
      ? null
      : `${process.name} ended with ${code ?? signal} after SIGTERM: ${lastWords(process)}`
  }

  /** Partitions of a topic whose last status was `serving`, or another of these. */
  partitions(topic: string, statuses: readonly string[] = ['serving', 'paused']): number[] {
    if (this.#starting !== null) return []
    const last = new Map<number, string>()
    for (const line of this.process.lines) {
      if (line.status !== undefined && line.topic === topic) last.set(line.partition ?? -1, line.status)
    }
    return [...last].filter(([, status]) => statuses.includes(status)).map(([partition]) => partition)
  }

  /** Waits for a log line that is not there yet. */
  line(wanted: (line: LogLine) => boolean, what: string): Promise<LogLine> {
    return this.process.line(wanted, what, this.process.lines.length)
  }

  onKafka(rule: WireRule): RuleHandle {
    return ruleOn(this.route.kafka, rule)
  }
  onRedis(rule: WireRule): RuleHandle {
    return ruleOn(this.route.redis, rule)
  }
}
