import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Claim, CommittedPosition, TransactionPort } from '../../../src/commit/transaction.ts'
import { MillraceError } from '../../../src/errors.ts'
import { MemoryStore } from '../../../src/features/memory-store.ts'
import { memoryScorer } from '../../../src/model/memory-scorer.ts'
import type { Attempt } from '../../../src/pipeline/attempt.ts'
import { parseMetadata, type CommitMetadata } from '../../../src/pipeline/metadata.ts'
import type { Shared } from '../../../src/pipeline/partition-context.ts'
import { TaskGroup } from '../../../src/pipeline/task-group.ts'
import type { Reject } from '../../../src/record/event.ts'
import type { OutputRecord } from '../../../src/record/output.ts'
import type { RawRecord } from '../../../src/record/raw-record.ts'
import { openDecoders } from '../../../src/service/codecs.ts'
import { quietLog } from '../../../src/telemetry/log.ts'
import { systemClock } from '../../../src/time/system-clock.ts'
import { untilAborted } from '../../../src/time/until-aborted.ts'
import { loadTopology } from '../../../src/topology/load.ts'
import type { Plan } from '../../../src/topology/plan.ts'
import { cardTopology, writeTopology } from '../../support/service-topology.ts'
import { LogStream, Process } from './poison-process.ts'

const topic = 'tx'

/**
 * What becomes of the process over an event: nothing unusual, it ends while it decodes or scores, it stops by itself with an error,
 * before or within the transaction, or it waits until it is aborted. What is no event becomes a dead letter.
 */
export type Deed =
  | 'fine'
  | 'dies in decode'
  | 'dies in score'
  | 'hangs in score'
  | 'stops in score'
  | 'stops in commit'
  | 'waits in score'
  | 'is no event'

/** What became of a record. */
export interface Outcome {
  readonly partition: number
  readonly offset: number
  /** `prediction`, or the reason of the dead letter. */
  readonly what: string
  readonly reject: Reject | null
}

/** The logs, offsets, outputs and windows that processes leave behind; and processes that die of records. */
export class PoisonWorld {
  readonly committed: Outcome[] = []
  /** Processes that ended over what they did. */
  deaths = 0
  /** Error that stopped the last process. */
  stopped: unknown = null
  /** Transactions with outputs that fail before one succeeds; the process survives. */
  failures = 0
  /** Uses of a claim after a transaction that was not acknowledged (R6). */
  misuses = 0
  /** Notes that were committed. */
  readonly notes: Attempt[] = []
  readonly #plan: Plan
  readonly #logs: readonly RawRecord[][]
  readonly #positions = new Map<string, CommittedPosition>()
  readonly #epochs = new Map<string, number>()
  readonly #store: MemoryStore
  readonly #deeds = new Map<number, Deed>()

  private constructor(plan: Plan, partitions: number) {
    this.#plan = plan
    this.#store = new MemoryStore(plan.features.layouts)
    this.#logs = Array.from({ length: partitions }, () => [])
  }

  static async open(
    partitions: number,
    limits: Pick<Plan['limits'], 'rowsPerTransactionMax'> & Partial<Plan['limits']>,
  ): Promise<PoisonWorld> {
    const dir = await mkdtemp(join(tmpdir(), 'millrace-poison-'))
    const topics = {
      transactions: topic,
      labels: 'l',
      predictions: 'p',
      alerts: 'a',
      deadLetters: `dlq.${topic}`,
    }
    const topology = cardTopology({
      name: 'poison',
      brokers: ['127.0.0.1:1'],
      redisUrl: 'redis://127.0.0.1:1',
      topics,
      sessionTimeout: '6s',
      labels: false,
      model: 'linear.onnx',
    })
    const plan = await loadTopology(await writeTopology(dir, topology), {})
    await rm(dir, { recursive: true })
    return new PoisonWorld({ ...plan, limits: { ...plan.limits, ...limits } }, partitions)
  }

  /** Appends a record; returns its offset. The amount tells what happens to it: it is unique. */
  append(partition: number, deed: Deed = 'fine'): number {
    const log = this.#logs[partition]!
    const offset = log.length
    const amount = amountOf(partition, offset)
    const amountCents = amount * 100
    this.#deeds.set(amount, deed)
    const customer = `c${offset % 3}-${partition}`
    const fields = {
      id: `${partition}-${offset}`,
      customer,
      terminal: 't',
      amountCents,
      tier: 0,
      ts: 1e12 + offset,
    }
    const value = Buffer.from(deed === 'is no event' ? 'x' : JSON.stringify(fields))
    log.push({
      topic,
      partition,
      offset,
      timestamp: fields.ts,
      key: Buffer.from(customer),
      value,
      headers: [],
    })
    return offset
  }

  /** From now on records are what the code takes them for: the model was repaired. */
  repair(): void {
    for (const amount of this.#deeds.keys()) this.#deeds.set(amount, 'fine')
  }

  metadata(partition: number): CommitMetadata | null {
    return parseMetadata(this.#positions.get(`${topic}:${partition}`)?.metadata ?? '')
  }

  /**
   * Starts processes one after another until all is committed, a process stops by itself, or `livesMax` have died.
   * `transactions`: in turn, after how many transactions a process is killed from outside.
   */
  async run(livesMax: number, transactions: readonly number[] = [Infinity]): Promise<void> {
    for (let life = 0; life < livesMax; life++) {
      const process = new Process(transactions[life % transactions.length])
      const tasks = this.#start(process)
      await Promise.race([process.over, this.#caughtUp(process)])
      if (process.stopped instanceof MillraceError && process.stopped.code === 'MODEL_HANG') {
        await systemClock.sleep(hangMs) // on its way to SIGKILL, it lives
        process.die()
        this.deaths++
        continue
      }
      this.stopped = process.stopped
      if (this.#isDone() || process.stopped !== null) {
        await tasks.drain()
        process.die()
        return
      }
      if (process.isDead) this.deaths++
      process.die()
    }
  }

  /** Starts a process, and aborts it when it waits in the model. */
  async interrupt(): Promise<void> {
    const process = new Process()
    const tasks = this.#start(process)
    await process.waiting
    await tasks.abort()
    process.die()
  }

  #deedOf({ partition, offset }: { readonly partition: number; readonly offset: number }): Deed | undefined {
    return this.#deeds.get(amountOf(partition, offset))
  }

  #isDone(): boolean {
    return this.#logs.every((log, p) => (this.#positions.get(`${topic}:${p}`)?.offset ?? 0) >= log.length)
  }

  async #caughtUp(process: Process): Promise<void> {
    while (!this.#isDone() && !process.isDead) await systemClock.sleep(2)
  }

  #start(process: Process): TaskGroup {
    const shared = this.#shared(process)
    const { source, decoder } = openDecoders({ plan: this.#plan, clock: process.clock, log: quietLog }).get('transactions')! // prettier-ignore
    const tasks = new TaskGroup({
      setupOf: (input) => ({
        shared,
        source,
        input: { ...input, source: 'transactions' },
        decoder: {
          prepare: (records, signal) => decoder.prepare(records, signal),
          decode: (record) => {
            if (this.#deedOf(record) === 'dies in decode') process.die()
            process.mustLive()
            return decoder.decode(record)
          },
        },
      }),
      fatal: (error) => process.stop(error),
      rebalanced: () => undefined,
    })
    tasks.assigned(this.#logs.map((log, partition) => new LogStream(process, topic, partition, log)))
    return tasks
  }

  #shared(process: Process): Shared {
    let identities = 0
    return {
      plan: this.#plan,
      store: this.#store,
      transactions: this.#transactions(process),
      scorer: memoryScorer({ width: 3, score: () => 0 }),
      batching: {
        hasRoom: true,
        room: () => Promise.resolve(),
        score: async (rows, n, signal) => {
          // Long enough for the work of other partitions to fall into it.
          await process.alive(systemClock.sleep(1))
          for (let row = 0; row < n; row++) {
            const deed = this.#deeds.get(rows[row * 3]!)
            if (deed === 'dies in score') process.die()
            if (deed === 'hangs in score') process.isHung = true
            if (deed === 'waits in score') {
              process.waits()
              await untilAborted(new Promise<never>(() => undefined), signal)
            }
            if (deed === 'stops in score') throw new MillraceError('DEAD_LETTER_SHARE', 'too many')
          }
          // Rows of several partitions are scored together: who came at the same time hangs, too.
          await process.alive(systemClock.sleep(2))
          if (process.isHung) throw new MillraceError('MODEL_HANG', 'too long')
          return { scores: new Float64Array(n), failures: null }
        },
      },
      outlet: {
        prediction: (_, raw) => output(raw, 'prediction', null),
        alert: (_, raw) => output(raw, 'alert', null),
        deadLetter: (reject) => output(reject.raw, reject.reason, reject),
      },
      clock: process.clock,
      topics: {
        look: () => Promise.resolve(new Map([[topic, { id: null, partitions: this.#logs.length }]])),
        agreedId: () => Promise.resolve(null),
        positions: () => Promise.resolve(new Map()),
        logEnd: () => Promise.resolve(0),
        logEnds: () => Promise.resolve(new Map()),
        watch: () => () => undefined,
      },
      observer: {
        status: () => undefined,
        taken: () => undefined,
        committed: () => undefined,
        transactionFailed: () => undefined,
        flushed: () => undefined,
        begun: () => undefined,
        rewound: () => undefined,
        expressionFailed: () => undefined,
        trouble: () => undefined,
      },
      clusterId: 'cluster',
      partitionCounts: new Map([[topic, this.#logs.length]]),
      newIdentity: () => `${process.name}${identities++}`,
      depth: 2,
    }
  }

  #transactions(process: Process): TransactionPort {
    return {
      clusterId: () => Promise.resolve('cluster'),
      claim: ({ partition }) => {
        const name = `${topic}:${partition}`
        const epoch = (this.#epochs.get(name) ?? 0) + 1
        this.#epochs.set(name, epoch)
        let isDead = false
        const claim: Claim = {
          committed: () => process.alive(Promise.resolve(this.#positions.get(name) ?? null)),
          run: async (outputs, position) => {
            await process.alive(systemClock.sleep(0))
            if (isDead) this.misuses++
            if (outputs.length > 0 && this.failures > 0) {
              this.failures--
              isDead = true
              throw new MillraceError('TRANSACTION_NOT_COMMITTED', name)
            }
            isDead = (outputs as readonly Made[]).some((made) => this.#deedOf(made) === 'stops in commit')
            if (isDead) throw new MillraceError('KAFKA_RECORD_TOO_LARGE', name)
            if (this.#epochs.get(name) !== epoch) throw new MillraceError('TRANSACTION_FENCED', name)
            this.#positions.set(name, position)
            const { attempt } = parseMetadata(position.metadata) ?? {}
            if (attempt) this.notes.push(attempt)
            process.committed()
            for (const made of outputs as readonly Made[])
              if (made.what !== 'alert') this.committed.push(made)
            await process.alive(Promise.resolve())
          },
          close: () => Promise.resolve(),
        }
        return process.alive(Promise.resolve(claim))
      },
    }
  }
}

/** Some transactions long. */
const hangMs = 20

function amountOf(partition: number, offset: number): number {
  return partition * 10_000 + offset
}

interface Made extends OutputRecord, Outcome {}

function output({ partition, offset }: RawRecord, what: string, reject: Reject | null): OutputRecord & Made {
  return {
    kind: 'prediction',
    topic: 'out',
    partition,
    key: null,
    value: null,
    headers: [],
    offset,
    what,
    reject,
  }
}
