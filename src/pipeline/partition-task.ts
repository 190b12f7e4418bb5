import { MillraceError } from '../errors.ts'
import type { Claim } from '../commit/transaction.ts'
import { inputName } from '../record/input.ts'
import type { InputStream } from '../source/source.ts'
import type { PartitionSetup } from './partition-context.ts'
import { legalMoves, type PartitionStatus } from './partition-status.ts'
import { SameFailure } from './same-failure.ts'
import { serve } from './serve.ts'
import { missingEntity } from './stored-parts.ts'
import { own, planOwnership, replay, type Owned } from './takeover.ts'
import { endHeldTurn, withdrawNote } from './trial.ts'

export interface TaskReading {
  /** Committed offset. */
  readonly position: number
  /** Record timestamp of the oldest record taken but not committed; null: none. */
  readonly pendingTimestamp: number | null
  /** Wall clock of the last acknowledged commit; null: none since the takeover. */
  readonly committedAt: number | null
  readonly unflushedRows: number
  readonly cacheHitRatio: number
}

const backOffFirstMs = 50
const backOffMaxMs = 5_000

/**
 * One input partition in one generation: an ordered loop that owns it, serves it, and on any trouble drops what it
 * holds and takes over again (R8). States and moves: partition-status.ts.
 */
export class PartitionTask {
  readonly #setup: PartitionSetup
  readonly #stream: InputStream
  /** Aborted: stop now. */
  readonly #abort = new AbortController()
  /** Aborted: finish what is open, take nothing more. */
  readonly #drain = new AbortController()
  #status: PartitionStatus = 'waiting'
  #detail = ''
  #foreignLog: string | null = null
  #acknowledged: { readonly incarnation: string; readonly offset: number } | null = null
  #done: Promise<void> | null = null
  #failures = 0
  readonly #sameFailure = new SameFailure()
  #owned: Owned | null = null

  constructor(setup: PartitionSetup, stream: InputStream) {
    this.#setup = setup
    this.#stream = stream
  }

  get status(): PartitionStatus {
    return this.#status
  }
  /** What it waits for or does, for people; may be empty. */
  get detail(): string {
    return this.#detail
  }
  get stream(): InputStream {
    return this.#stream
  }

  /** Progress of the ownership under way; null while there is none. */
  get reading(): TaskReading | null {
    if (this.#owned === null) return null
    const { metadata, flusher, memory, pendingTimestamp, committedAt } = this.#owned
    return {
      position: metadata.offset,
      pendingTimestamp,
      committedAt,
      unflushedRows: flusher.unflushedRows,
      cacheHitRatio: memory.hitRatio,
    }
  }

  /** An entity whose part was deleted from the store, of some that this owner wrote; null: none, or nothing is owned. */
  async missingEntity(partsMax: number, signal: AbortSignal): Promise<string | null> {
    const owned = this.#owned
    if (owned === null) return null
    const { shared, input } = this.#setup
    const options = { store: shared.store, ...owned, inputName: inputName(input) }
    const missing = await missingEntity(options, partsMax, signal)
    return this.#owned === owned ? missing : null
  }

  /** Runs until drained, aborted or the generation ends. Rejects only with an error that must stop the process. */
  run(): Promise<void> {
    this.#done ??= this.#loop()
    return this.#done
  }

  /** Finishes and commits what is open, flushes, releases. Idempotent. */
  async drain(): Promise<void> {
    this.#drain.abort()
    await this.#done?.catch(() => undefined)
  }

  /** Stops now; an open transaction is left to the next claim. Idempotent. */
  async abort(): Promise<void> {
    this.#abort.abort()
    await this.#done?.catch(() => undefined)
  }

  async #loop(): Promise<void> {
    const signal = AbortSignal.any([this.#abort.signal, this.#stream.ended])
    while (!signal.aborted && !this.#drain.signal.aborted) {
      try {
        await this.#ownOnce(signal)
      } catch (error) {
        // While draining, the next owner meets the same trouble; this one only leaves.
        if (signal.aborted || this.#drain.signal.aborted) break
        await this.#recover(error, signal)
        endHeldTurn(this.#setup)
      }
    }
    endHeldTurn(this.#setup)
    if (this.#status !== 'failed') this.#moveTo('stopped', '')
  }

  async #ownOnce(signal: AbortSignal): Promise<void> {
    const { shared, input } = this.#setup
    this.#moveTo('claiming', '')
    const claim = await shared.transactions.claim(input, signal)
    try {
      await this.#serveClaim(claim, signal)
    } finally {
      await claim.close()
    }
  }

  async #serveClaim(claim: Claim, signal: AbortSignal): Promise<void> {
    const setup = this.#setup
    const takeover = AbortSignal.any([signal, this.#drain.signal])
    const { plan, log, readerTime, topics } = await planOwnership(
      setup,
      this.#stream,
      claim,
      { foreignLog: this.#foreignLog, acknowledged: this.#acknowledged },
      takeover,
    )
    this.#foreignLog = null
    const owned = own(setup, this.#stream, claim, plan, readerTime)
    this.#owned = owned
    const working = new AbortController()
    const workSignal = AbortSignal.any([signal, working.signal])
    const { topic } = setup.input
    const unwatch = setup.shared.topics.watch(topics, topic, (error) => working.abort(error))
    const flush: { failure: Error | null } = { failure: null }
    const flushing = owned.flusher.run(workSignal).catch((error: unknown) => {
      flush.failure = error instanceof Error ? error : new Error(String(error))
      working.abort(error)
    })
    try {
      if (plan.replayFrom.offset < plan.metadata.offset) {
        this.#moveTo('replaying', replayDetail(plan))
      }
      await replay(setup, this.#stream, owned, plan, log, AbortSignal.any([workSignal, takeover]))
      this.#moveTo('serving', '')
      await serve(setup, this.#stream, owned, {
        logStart: log.start,
        partitions: topics.get(topic)?.partitions ?? 0,
        signal: workSignal,
        drain: this.#drain.signal,
        paused: (reason) => this.#moveTo(reason === null ? 'serving' : 'paused', reason ?? ''),
        progressed: () => {
          this.#acknowledged = owned.metadata
          this.#failures = 0
        },
      })
      this.#moveTo('draining', '')
      owned.flusher.stop()
      await flushing
      if (flush.failure === null) await owned.flusher.flushAll(workSignal)
    } catch (error) {
      throw flush.failure ?? error
    } finally {
      this.#owned = null
      unwatch()
      working.abort()
      await flushing
    }
    if (flush.failure !== null) throw flush.failure
  }

  /** R6–R8: memory is already dropped; after being fenced wait for a heartbeat accepted in this generation. */
  async #recover(failure: unknown, signal: AbortSignal): Promise<void> {
    const { shared, input } = this.#setup
    const committed = this.#acknowledged?.offset ?? -1
    const error = this.#sameFailure.note(inputName(input), committed, failure) ?? failure
    const code = error instanceof MillraceError ? error.code : 'INTERNAL'
    shared.observer.trouble(input, error)
    // The next takeover decides, knowing more: the topic may have been created again.
    if (code === 'OFFSET_FOREIGN' && this.#foreignLog === null) {
      this.#foreignLog = error instanceof Error ? error.message : String(error)
      this.#moveTo('waiting', 'the log is another one')
      return
    }
    const stop = AbortSignal.any([signal, this.#drain.signal])
    if (!(error instanceof MillraceError) || (error.reaction === 'stop' && (await this.#isMember(stop)))) {
      await withdrawNote(this.#setup, error, stop).catch(() => undefined)
      this.#moveTo('failed', code)
      throw error
    }
    if (code === 'STATE_MISMATCH') shared.observer.rewound(input)
    if (code === 'TRANSACTION_NOT_COMMITTED') shared.observer.transactionFailed(input, 'aborted')
    const fenced = code === 'TRANSACTION_FENCED'
    if (fenced) shared.observer.transactionFailed(input, 'fenced')
    this.#moveTo(fenced ? 'fenced' : 'waiting', fenced ? 'until a heartbeat is accepted' : code)
    const waitMs = Math.min(backOffFirstMs * 2 ** this.#failures, backOffMaxMs)
    this.#failures++
    // Both waits end early only when the task has to end, which the loop sees.
    if (fenced) await this.#stream.heartbeatAccepted(stop).catch(() => undefined)
    await shared.clock.sleep(waitMs, stop).catch(() => undefined)
  }

  /** A process that was thrown out of the group may see a mixture of its own and the new owner's doings: no reason to stop. */
  #isMember(signal: AbortSignal): Promise<boolean> {
    return this.#stream.heartbeatAccepted(signal).then(
      () => true,
      () => false,
    )
  }

  #moveTo(status: PartitionStatus, detail: string): void {
    if (status === this.#status) return
    if (!legalMoves[this.#status].includes(status)) {
      throw new MillraceError(
        'INTERNAL',
        `${inputName(this.#setup.input)}: no move from ${this.#status} to ${status}`,
      )
    }
    this.#status = status
    this.#detail = detail
    this.#setup.shared.observer.status(this.#setup.input, status, detail)
  }
}

function replayDetail(plan: {
  replayFrom: { offset: number }
  metadata: { offset: number }
  rebuilds: boolean
}): string {
  const what = plan.rebuilds ? 'rebuilding' : 're-applying'
  return `${what} offsets ${plan.replayFrom.offset} to ${plan.metadata.offset}`
}
