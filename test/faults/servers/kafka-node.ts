import { prepareKafka, type KafkaOptions } from '../../../src/stack/kafka-server.ts'
import { startWatched, type ServerLaunch, type WatchedServer } from '../../../src/stack/watched-process.ts'
import { systemClock } from '../../../src/time/system-clock.ts'
import type { Wire } from '../wire/proxy.ts'
import { clusterState } from './kafka-questions.ts'

/** A wire, and the listener of the node that it leads to. */
export interface Door {
  readonly wire: Wire
  readonly port: number
}

export type NodeState = 'running' | 'paused' | 'down'

/** One broker (and controller) of a cluster: killed, frozen and started again on the same ports and data. */
export class KafkaNode {
  readonly id: number
  /** Its listener without a proxy. */
  readonly port: number
  readonly #options: KafkaOptions
  readonly #doors: readonly Door[]
  #launch: ServerLaunch | null = null
  #server: WatchedServer | null = null
  #isPaused = false

  constructor(id: number, port: number, options: KafkaOptions, doors: readonly Door[]) {
    this.id = id
    this.port = port
    this.#options = options
    this.#doors = doors
  }

  get state(): NodeState {
    if (this.#server === null) return 'down'
    return this.#isPaused ? 'paused' : 'running'
  }

  /** Of the broker's process; null while it is down. */
  get pid(): number | null {
    return this.#server?.pid ?? null
  }

  get logFile(): string | null {
    return this.#launch?.logFile ?? null
  }

  /** Starts it, the first time on an empty folder, and waits until the cluster counts it as alive. */
  async start(): Promise<void> {
    if (this.#server !== null) return
    this.#launch ??= (await prepareKafka(this.#options)).launch
    this.#server = await startWatched(this.#launch)
    await Promise.all(this.#doors.map(({ wire, port }) => wire.retarget(port)))
    await until(`node ${this.id} is registered`, async () => {
      const { nodes } = await clusterState(this.port)
      return nodes.includes(this.id)
    })
  }

  /** SIGKILL: a crash. What it had written stays in the page cache, as it would when only the process dies. */
  async kill(): Promise<void> {
    await this.#refuse()
    await this.#server?.kill()
    this.#forget()
  }

  /** SIGTERM: hands its leaderships over, then ends. */
  async stop(): Promise<void> {
    this.resume()
    await this.#server?.stop()
    await this.#refuse()
    this.#forget()
  }

  /** SIGSTOP: connections stay, nothing answers. */
  pause(): void {
    if (this.#server === null) return
    process.kill(this.#server.pid, 'SIGSTOP')
    this.#isPaused = true
  }

  /** SIGCONT */
  resume(): void {
    if (this.#server !== null && this.#isPaused) process.kill(this.#server.pid, 'SIGCONT')
    this.#isPaused = false
  }

  /** Clients find nobody there. */
  async #refuse(): Promise<void> {
    await Promise.all(this.#doors.map(({ wire }) => wire.retarget(null)))
  }

  #forget(): void {
    this.#server = null
    this.#isPaused = false
  }
}

const lookEveryMs = 50
const waitMaxMs = 90_000 // three JVMs that start at once on two busy cores

/** Looks until `isSo`; a question that fails is asked again. */
export async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const giveUpAt = systemClock.monotonic() + waitMaxMs
  for (;;) {
    const failure = await isSo().then(
      (is) => (is ? null : 'not yet'),
      (error: unknown) => error,
    )
    if (failure === null) return
    if (systemClock.monotonic() > giveUpAt)
      throw new Error(`Waited ${waitMaxMs / 1000} s until ${what}`, { cause: failure })
    await systemClock.sleep(lookEveryMs)
  }
}
