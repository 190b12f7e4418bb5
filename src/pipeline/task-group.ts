import type { InputPartition } from '../record/input.ts'
import type { AssignmentHandler, InputStream } from '../source/source.ts'
import type { PartitionSetup } from './partition-context.ts'
import { PartitionTask } from './partition-task.ts'
import { createProcessTrials } from './process-trials.ts'

export interface TaskGroupOptions {
  readonly setupOf: (input: InputPartition) => Omit<PartitionSetup, 'trials'>
  /** An error that must stop the process. Called at most once. */
  readonly fatal: (error: unknown) => void
  readonly rebalanced: (partitions: number) => void
}

/** The partition tasks of the current generation. */
export class TaskGroup implements AssignmentHandler {
  readonly #options: TaskGroupOptions
  readonly #trials = createProcessTrials()
  #tasks: readonly PartitionTask[] = []
  #leaving: Promise<void> = Promise.resolve()
  #failed = false
  #closed = false

  constructor(options: TaskGroupOptions) {
    this.#options = options
  }

  get tasks(): readonly PartitionTask[] {
    return this.#tasks
  }

  assigned(streams: readonly InputStream[]): void {
    const before = this.#tasks
    this.#leaving = Promise.all([this.#leaving, ...before.map((task) => task.abort())]).then(() => undefined)
    if (this.#closed) return
    this.#tasks = streams.map((stream) => {
      const setup = { ...this.#options.setupOf(stream.input), trials: this.#trials }
      return new PartitionTask(setup, stream)
    })
    this.#options.rebalanced(streams.length)
    for (const task of this.#tasks) {
      task.run().catch((error: unknown) => this.crashed(error))
    }
  }

  async revoking(): Promise<void> {
    await Promise.all(this.#tasks.map((task) => task.drain()))
  }

  crashed(error: unknown): void {
    if (this.#failed) return
    this.#failed = true
    this.#options.fatal(error)
  }

  /** Finishes and commits what is open; takes no further assignments. */
  async drain(): Promise<void> {
    this.#closed = true
    await this.revoking()
    await this.#leaving
  }

  /** Stops at once; open transactions are left to the next claim. */
  async abort(): Promise<void> {
    this.#closed = true
    await Promise.all(this.#tasks.map((task) => task.abort()))
    await this.#leaving
  }
}
