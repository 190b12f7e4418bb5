import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { endTogether } from './end-together.ts'

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

export interface WarmLine {
  readonly msg: string
  readonly percent?: number
  readonly warm?: number
  readonly partitions?: number
}

/** A `millrace warm` of its own process. */
export class WarmProcess {
  readonly exited: Promise<number | null>
  readonly lines: WarmLine[] = []
  readonly #child: ChildProcess
  #wake: (() => void)[] = []
  #ended = false

  constructor(file: string, args: readonly string[]) {
    this.#child = spawn(process.execPath, [main, 'warm', file, ...args], {
      stdio: ['ignore', 'inherit', 'pipe'],
      env: { ...process.env, MILLRACE_LOG: 'info' },
    })
    endTogether(this.#child)
    if (this.#child.stderr === null) throw new Error('no stderr')
    createInterface(this.#child.stderr).on('line', (line) => {
      this.lines.push(line.startsWith('{') ? (JSON.parse(line) as WarmLine) : { msg: line })
      this.#notify()
    })
    this.exited = once(this.#child, 'close').then(([code]) => {
      this.#ended = true
      this.#notify()
      return code as number | null
    })
  }

  /** Waits for a line, also among those already there. */
  async until(wanted: (line: WarmLine) => boolean): Promise<void> {
    while (!this.lines.some(wanted)) {
      if (this.#ended) throw new Error(`the warmer has ended: ${JSON.stringify(this.lines.slice(-5))}`)
      await new Promise<void>((resolve) => this.#wake.push(resolve))
    }
  }

  stop(): void {
    this.#child.kill('SIGTERM')
  }

  async kill(): Promise<void> {
    if (!this.#ended) this.#child.kill('SIGKILL')
    await this.exited
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }
}
