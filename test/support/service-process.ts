import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../../src/time/system-clock.ts'
import { endTogether } from './end-together.ts'
import { patienceMs } from './until.ts'

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

/** One line of the service's log, or a line of plain text as `msg`. */
export interface LogLine {
  readonly msg: string
  readonly level?: string
  readonly topic?: string
  readonly partition?: number
  readonly status?: string
  readonly detail?: string
  readonly reason?: string
  readonly code?: string
  readonly error?: string
  readonly port?: number
  readonly pid?: number
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A `millrace run` of its own process. */
export class ServiceProcess {
  readonly name: string
  readonly pid: number
  readonly exited: Promise<Exit>
  readonly lines: LogLine[] = []
  exit: Exit | null = null
  readonly #child: ChildProcess
  #rest = ''
  #wake: (() => void)[] = []

  /** Starts `millrace run FILE`; nothing is waited for. */
  constructor(name: string, file: string, http: string, more: readonly string[] = []) {
    this.name = name
    this.#child = spawn(process.execPath, [main, 'run', file, '--http', http, ...more], {
      stdio: ['ignore', 'inherit', 'pipe'],
      env: { ...process.env, MILLRACE_LOG: 'info' },
    })
    endTogether(this.#child)
    this.pid = this.#child.pid ?? 0
    this.#child.stderr?.on('data', (chunk: Buffer) => this.#read(chunk.toString()))
    this.exited = once(this.#child, 'close').then(([code, signal]) => {
      this.exit = { code: code as number | null, signal: signal as NodeJS.Signals | null }
      this.#notify()
      return this.exit
    })
  }

  /** Waits for a log line, also among those already there; fails when the process ends without it. */
  line(wanted: (line: LogLine) => boolean, what: string, from = 0): Promise<LogLine> {
    return this.until(() => this.lines.slice(from).find(wanted) ?? null, what)
  }

  /** Waits until `partitions` partitions are served at the same time. */
  async serving(partitions: number): Promise<void> {
    await this.until(
      () => (this.owned().length >= partitions ? true : null),
      `${partitions} partitions are served`,
    )
  }

  /** Partitions whose last status is `serving`. */
  owned(): number[] {
    const last = new Map<string, LogLine>()
    for (const line of this.lines) {
      if (line.status !== undefined) last.set(`${line.topic}:${line.partition}`, line)
    }
    return [...last.values()]
      .filter(({ status }) => status === 'serving')
      .map(({ partition = -1 }) => partition)
  }

  /** Waits, woken by log lines and by the end of the process. */
  async until<T>(look: () => T | null, what: string): Promise<T> {
    const giveUp = new AbortController()
    const late = systemClock.sleep(patienceMs, giveUp.signal).then(
      () => this.#notify(),
      () => undefined,
    )
    const giveUpAt = systemClock.monotonic() + patienceMs
    try {
      for (;;) {
        const found = look()
        if (found !== null) return found
        if (this.exit !== null) throw new Error(`${this.name} ended (${this.exit.code}) before ${what}`)
        if (systemClock.monotonic() >= giveUpAt)
          throw new Error(`${this.name}: waited too long until ${what}`)
        await new Promise<void>((resolve) => this.#wake.push(resolve))
      }
    } finally {
      giveUp.abort()
      await late
    }
  }

  /** Where probes and metrics are; with `http` on. */
  async url(path: string): Promise<string> {
    const { port } = await this.line(({ msg }) => msg.startsWith('serving /metrics'), 'HTTP is served')
    return `http://127.0.0.1:${port}${path}`
  }

  signal(signal: NodeJS.Signals): void {
    if (this.exit === null) this.#child.kill(signal)
  }

  /** SIGKILL: a crash. */
  async kill(): Promise<void> {
    this.signal('SIGKILL')
    await this.exited
  }

  /** SIGTERM: drains. One that does not end is killed, which its exit tells. */
  async stop(): Promise<Exit> {
    this.signal('SIGCONT') // asleep it would not hear
    this.signal('SIGTERM')
    const waited = new AbortController()
    const late = systemClock.sleep(stopMaxMs, waited.signal).then(
      () => this.signal('SIGKILL'),
      () => undefined,
    )
    const exit = await this.exited
    waited.abort()
    await late
    return exit
  }

  /** The log for people, its last lines. */
  tail(count: number): string {
    return this.lines
      .slice(-count)
      .map((line) => `  ${this.name} ${JSON.stringify(line)}`)
      .join('\n')
  }

  #read(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) this.lines.push(parseLine(line))
    this.#notify()
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }
}

/** Above all deadlines of a drain together. */
const stopMaxMs = 60_000

function parseLine(line: string): LogLine {
  if (!line.startsWith('{')) return { msg: line }
  try {
    return JSON.parse(line) as LogLine
  } catch {
    return { msg: line }
  }
}
