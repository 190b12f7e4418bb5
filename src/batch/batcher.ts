import { MillraceError } from '../errors.ts'
import type { Clock } from '../time/clock.ts'
import { scoreAround } from './bisect.ts'
import type { RunModel } from './bisect.ts'
import type { BatchPlan } from './plan.ts'
import { nextPolicy, startPolicy } from './policy.ts'
import type { PolicyState, RunObservation } from './policy.ts'
import { shareBatch } from './share.ts'

/** Merges the rows of many partition tasks into batches for a model. */
export interface Batcher {
  /**
   * Scores n rows of `width` float32 each, row by row. The rows must not change until the promise settles; they are
   * copied, not taken away. Resolves with a score or a failure for every row. Rejects with the signal's reason, or with
   * the error of a run that no row is to blame for (MODEL_HANG, INTERNAL).
   */
  score(rows: Float32Array, n: number, signal: AbortSignal): Promise<RowScores>
  /** Rows that wait for a batch. */
  readonly queuedRows: number
  /** False while `queuedRows` is at `queuedRowsMax` or above: callers pause. The request that crosses it is still taken. */
  readonly hasRoom: boolean
  /** Resolves when there is room, at once if there is now; rejects with the signal's reason. */
  whenRoom(signal: AbortSignal): Promise<void>
  /** Learned cap on the rows of the next batch. */
  readonly sizeTarget: number
}

export interface RowScores {
  /** NaN where the row failed. */
  readonly scores: Float64Array
  /** Row → why the model failed on it; null when it failed on none. */
  readonly failures: ReadonlyMap<number, string> | null
}

/** Why a batch had the size it had: everything that waited, the learned cap, or `rowsMax`. */
export type DispatchReason = 'drained' | 'deadline' | 'full'

export interface BatchObservation {
  readonly reason: DispatchReason
  readonly rows: number
  readonly requests: number
  readonly failedRows: number
  /** From the arrival of the oldest request in it to its dispatch, ms. */
  readonly waitedMs: number
  /** From dispatch to scores, ms. */
  readonly tookMs: number
  /** Inside the session, ms. */
  readonly runMs: number
  readonly sizeTarget: number
}

export interface BatcherOptions {
  readonly run: RunModel
  readonly width: number
  /** Runs under way at once: the scorer's workers. */
  readonly concurrency: number
  readonly plan: BatchPlan
  readonly queuedRowsMax: number
  readonly clock: Clock
  readonly observe: (batch: BatchObservation) => void
}

interface Request {
  readonly rows: Float32Array
  readonly n: number
  readonly arrivedAtMs: number
  readonly scores: Float64Array
  failures: Map<number, string> | null
  /** Rows not yet in any batch; 0 once it is given up. */
  rowsLeft: number
  /** Rows without an answer. */
  rowsOpen: number
  readonly resolve: (scores: RowScores) => void
  readonly reject: (reason: unknown) => void
}

/** `rows` rows of a request from `from` on. */
interface Segment {
  readonly request: Request
  readonly from: number
  readonly rows: number
}

export function createBatcher(options: BatcherOptions): Batcher {
  return new GreedyBatcher(options)
}

/**
 * Takes what waits as soon as a worker is free; never waits for more. A long request is spread over batches, short ones
 * travel together. No timers: only arrivals and ended runs move it.
 */
class GreedyBatcher implements Batcher {
  readonly #options: BatcherOptions
  #policy: PolicyState
  #sizeTarget: number
  #waiting: Request[] = []
  #queuedRows = 0
  #underWay = 0
  #pumpPlanned = false
  readonly #roomSeekers = new Set<() => void>()

  constructor(options: BatcherOptions) {
    this.#options = options
    const first = nextPolicy(startPolicy(options.plan), { oldestAtMs: null, run: null }, 0)
    this.#policy = first.state
    this.#sizeTarget = first.sizeTarget
  }

  get queuedRows(): number {
    return this.#queuedRows
  }

  get hasRoom(): boolean {
    return this.#queuedRows < this.#options.queuedRowsMax
  }

  get sizeTarget(): number {
    return this.#sizeTarget
  }

  async score(rows: Float32Array, n: number, signal: AbortSignal): Promise<RowScores> {
    signal.throwIfAborted()
    const { width, clock } = this.#options
    if (rows.length !== n * width) {
      const text = `The batcher was given ${rows.length} numbers for ${n} rows of ${width}.`
      throw new MillraceError('INTERNAL', text)
    }
    if (n === 0) return { scores: new Float64Array(0), failures: null }
    const { promise, resolve, reject } = Promise.withResolvers<RowScores>()
    const request: Request = {
      rows,
      n,
      arrivedAtMs: clock.monotonic(),
      scores: new Float64Array(n),
      failures: null,
      rowsLeft: n,
      rowsOpen: n,
      resolve,
      reject,
    }
    const onAbort = (): void => {
      this.#giveUp(request, signal.reason)
      this.#planPump() // there may be room now
    }
    signal.addEventListener('abort', onAbort, { once: true })
    this.#waiting.push(request)
    this.#queuedRows += n
    this.#planPump()
    try {
      return await promise
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  async whenRoom(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.hasRoom) return
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const onAbort = (): void => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    this.#roomSeekers.add(resolve)
    try {
      await promise
    } finally {
      this.#roomSeekers.delete(resolve)
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Arrivals of one turn of the event loop share a batch, at no cost in time. */
  #planPump(): void {
    if (this.#pumpPlanned) return
    this.#pumpPlanned = true
    queueMicrotask(() => {
      this.#pumpPlanned = false
      this.#pump()
    })
  }

  #pump(): void {
    while (this.#underWay < this.#options.concurrency && this.#waiting.length > 0) {
      this.#decide(null, oldestOf(this.#waiting))
      void this.#dispatch(this.#takeBatch())
    }
    if (this.hasRoom) for (const wake of this.#roomSeekers) wake()
  }

  #decide(run: RunObservation | null, oldestAtMs: number | null): void {
    const decision = nextPolicy(this.#policy, { oldestAtMs, run }, this.#options.clock.monotonic())
    this.#policy = decision.state
    this.#sizeTarget = decision.sizeTarget
  }

  /** Whoever got only a part goes to the back, so that those who came later have their turn. */
  #takeBatch(): Segment[] {
    const segments = shareBatch(this.#waiting, this.#sizeTarget).map(({ request, rows }) => {
      const from = request.n - request.rowsLeft
      request.rowsLeft -= rows
      this.#queuedRows -= rows
      return { request, from, rows }
    })
    const served = new Set(segments.map(({ request }) => request))
    const unserved = this.#waiting.filter((request) => !served.has(request))
    const partly = this.#waiting.filter((request) => served.has(request) && request.rowsLeft > 0)
    this.#waiting = [...unserved, ...partly]
    return segments
  }

  async #dispatch(segments: readonly Segment[]): Promise<void> {
    this.#underWay += 1
    const { clock, width, run, observe } = this.#options
    const rows = segments.reduce((sum, segment) => sum + segment.rows, 0)
    const startedMs = clock.monotonic()
    const waitedMs = startedMs - oldestOf(segments.map(({ request }) => request))
    const reason = this.#reasonFor(rows)
    const sizeTarget = this.#sizeTarget
    try {
      const result = await scoreAround(run, (from, to) => copyRows(segments, width, from, to), rows)
      const tookMs = clock.monotonic() - startedMs
      const failedRows = result.failures?.size ?? 0
      // Bisecting is many runs: it says nothing about the cost of one.
      if (failedRows === 0) this.#decide({ rows, waitedMs, tookMs }, null)
      hand(segments, result)
      const { runMs } = result
      observe({ reason, rows, requests: segments.length, failedRows, waitedMs, tookMs, runMs, sizeTarget })
    } catch (error) {
      for (const { request } of segments) this.#giveUp(request, error)
    } finally {
      this.#underWay -= 1
      this.#pump() // before those who got their scores go on: the worker is idle
    }
  }

  #reasonFor(rows: number): DispatchReason {
    if (this.#queuedRows === 0) return 'drained'
    return rows >= this.#options.plan.rowsMax ? 'full' : 'deadline'
  }

  #giveUp(request: Request, reason: unknown): void {
    this.#queuedRows -= request.rowsLeft
    request.rowsLeft = 0
    this.#waiting = this.#waiting.filter((other) => other !== request)
    request.reject(reason)
  }
}

function oldestOf(requests: readonly Request[]): number {
  return requests.reduce((oldest, { arrivedAtMs }) => Math.min(oldest, arrivedAtMs), Infinity)
}

/** Rows `from` … `to` of a batch made of segments, as an array of their own. */
function copyRows(
  segments: readonly Segment[],
  width: number,
  from: number,
  to: number,
): Float32Array<ArrayBuffer> {
  const copy = new Float32Array((to - from) * width)
  let begin = 0 // first row of the segment within the batch
  for (const segment of segments) {
    const low = Math.max(from, begin)
    const high = Math.min(to, begin + segment.rows)
    if (low < high) {
      const source = segment.from + low - begin
      copy.set(
        segment.request.rows.subarray(source * width, (source + high - low) * width),
        (low - from) * width,
      )
    }
    begin += segment.rows
  }
  return copy
}

/** Puts the results of a batch back to the requests it was made of. */
function hand(
  segments: readonly Segment[],
  { scores, failures }: { scores: Float64Array; failures: ReadonlyMap<number, string> | null },
): void {
  let begin = 0
  for (const { request, from, rows } of segments) {
    request.scores.set(scores.subarray(begin, begin + rows), from)
    for (const [row, why] of failures ?? []) {
      if (row < begin || row >= begin + rows) continue
      request.failures ??= new Map()
      request.failures.set(from + row - begin, why)
    }
    request.rowsOpen -= rows
    if (request.rowsOpen === 0) request.resolve({ scores: request.scores, failures: request.failures })
    begin += rows
  }
}
