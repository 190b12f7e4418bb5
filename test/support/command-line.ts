import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../../src/time/system-clock.ts'
import { endTogether } from './end-together.ts'
import { patienceMs } from './until.ts'

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** A `millrace` command as a process of its own. */
export class CommandLine {
  readonly ended: Promise<Ended>
  stdout = ''
  stderr = ''
  readonly #child: ChildProcess

  constructor(...args: readonly string[]) {
    this.#child = spawn(process.execPath, [main, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, MILLRACE_LOG: 'info', NO_COLOR: '1' },
    })
    endTogether(this.#child)
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.stdout += text))
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text))
    this.ended = once(this.#child, 'close').then(([code, signal]) => ({
      code: code as number | null,
      signal: signal as NodeJS.Signals | null,
      stdout: this.stdout,
      stderr: this.stderr,
    }))
  }

  /** Waits until `isDone` of what was printed so far; fails when the process ends or takes too long. */
  async until(isDone: (stdout: string) => boolean, what: string): Promise<void> {
    const giveUpAt = systemClock.monotonic() + patienceMs
    while (!isDone(this.stdout)) {
      if (this.#child.exitCode !== null) throw new Error(`ended before ${what}: ${this.stderr}`)
      if (systemClock.monotonic() > giveUpAt) throw new Error(`waited too long until ${what}: ${this.stderr}`)
      await systemClock.sleep(pollEveryMs)
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }
}

const pollEveryMs = 5

/** Runs a command to its end. */
export function millrace(...args: readonly string[]): Promise<Ended> {
  return new CommandLine(...args).ended
}

/** What `-o json` printed, one value per line. */
export function jsonLines<T>(stdout: string): T[] {
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T)
}
