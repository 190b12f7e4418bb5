import type { InputStream, Taken } from '../source/source.ts'
import { commitSlice } from './commit-slice.ts'
import { createDeadLetterShare } from './dead-letter-share.ts'
import { MovedKeys } from './moved-keys.ts'
import type { PartitionSetup } from './partition-context.ts'
import { parseAll, slowestReader } from './peers.ts'
import { prepareSlice } from './slice.ts'
import type { Owned } from './takeover.ts'
import { Trial, type Run } from './trial.ts'

export interface ServeControl {
  /** First offset of the log when the partition was taken over. */
  readonly logStart: number
  /** Of the topic when the partition was taken over. */
  readonly partitions: number
  /** Aborted: stop now. */
  readonly signal: AbortSignal
  /** Aborted: take nothing more, finish what is open. */
  readonly drain: AbortSignal
  /** Back-pressure: what the partition waits for; null when it goes on. */
  readonly paused: (reason: string | null) => void
  /** A slice was committed. */
  readonly progressed: () => void
}

/**
 * The serving loop: slices are decoded, applied and scored while earlier ones commit (at most `depth` at once), and
 * committed one after another. Returns when drained; throws on any trouble, with everything uncommitted to be dropped.
 */
export async function serve(
  setup: PartitionSetup,
  stream: InputStream,
  owned: Owned,
  control: ServeControl,
): Promise<void> {
  const { shared, input } = setup
  const failed = new AbortController()
  const signal = AbortSignal.any([control.signal, failed.signal])
  const takeSignal = AbortSignal.any([signal, control.drain])
  const trial = new Trial(setup, stream, owned, control.logStart)
  const depth = (): number => (trial.single ? 1 : shared.depth)
  const pipe = new CommitPipe(depth, (error) => failed.abort(error))
  const share = createDeadLetterShare(shared.plan.limits.deadLetterShareMax, owned.metadata.deadLetters)
  const timestamps: (number | null)[] = [] // first record of every open slice
  const rowsMax = shared.plan.limits.rowsPerTransactionMax
  const commit = (slice: Awaited<ReturnType<typeof score>>): Promise<void> =>
    commitSlice(setup, owned, slice.prepared, slice.scored, { share, trial }, signal).then(() => {
      trial.committed(slice.run, slice.prepared.records.length)
      timestamps.shift()
      owned.pendingTimestamp = timestamps[0] ?? null
      control.progressed()
    })
  const moved = new MovedKeys(setup, control.partitions)
  const score = async (run: Run) => {
    await moved.refuse(run.records, takeSignal)
    const prepared = await prepareSlice(setup, owned, run, { signal, wait: takeSignal })
    const { values, rows } = prepared.matrix
    const scored = rows === 0 ? Promise.resolve(nothingScored) : shared.batching.score(values, rows, signal)
    scored.catch(() => undefined) // awaited in commitSlice, unless an earlier slice fails first
    return { run, prepared, scored }
  }
  let reason: unknown = null
  try {
    let waiting: Taken | null = null
    while (!control.drain.aborted) {
      await backPressure(setup, owned, control, signal)
      await pipe.room()
      refreshReader(setup, owned, signal)
      const taken: Taken | null = waiting ?? (await unlessDrained(control, stream.take(rowsMax, takeSignal)))
      if (taken === null) break
      if (waiting === null) shared.observer.taken(input, taken.records.length)
      owned.pendingTimestamp ??= taken.records[0]?.timestamp ?? null
      const run = await unlessDrained(control, trial.plan(taken, takeSignal))
      const slice = run === null ? null : await unlessDrained(control, score(run))
      if (slice === null) break
      timestamps.push(slice.prepared.records[0]?.timestamp ?? null)
      waiting = remainder(taken, slice.prepared.records.length)
      pipe.push(() => commit(slice))
    }
    await pipe.drained()
  } catch (error) {
    reason = failed.signal.aborted ? failed.signal.reason : error
    throw reason
  } finally {
    failed.abort()
    await pipe.settled()
    await trial.close(reason, control.signal)
  }
}

const nothingScored = { scores: new Float64Array(0), failures: null }

function remainder(taken: Taken, used: number): Taken | null {
  return used < taken.records.length ? { records: taken.records.slice(used), next: taken.next } : null
}

/** Null when the wait ended because the partition drains. */
async function unlessDrained<T>(control: ServeControl, wait: Promise<T>): Promise<T | null> {
  try {
    return await wait
  } catch (error) {
    if (control.drain.aborted && !control.signal.aborted && error === control.drain.reason) return null
    throw error
  }
}

async function backPressure(
  setup: PartitionSetup,
  owned: Owned,
  control: ServeControl,
  signal: AbortSignal,
): Promise<void> {
  const { batching } = setup.shared
  if (owned.flusher.hasRoom && batching.hasRoom) return
  control.paused(owned.flusher.hasRoom ? 'rows wait for the model' : 'changes wait for Redis')
  await owned.flusher.room(signal)
  await batching.room(signal)
  control.paused(null)
}

const readerRefreshMs = 1_000
const refreshedAt = new WeakMap<Owned, number>()

/** Merged parts are trimmed by what their slowest reader sees: look at the watermarks once a second, off the path. */
function refreshReader(setup: PartitionSetup, owned: Owned, signal: AbortSignal): void {
  const { shared } = setup
  if (owned.merged.length === 0) return
  const now = shared.clock.monotonic()
  if (now - (refreshedAt.get(owned) ?? -Infinity) < readerRefreshMs) return
  refreshedAt.set(owned, now)
  shared.store.watermarks(0, signal).then(
    (watermarks) => {
      const nowMs = shared.clock.now()
      owned.readerTime = slowestReader(shared.plan, shared.partitionCounts, parseAll(watermarks), nowMs)
    },
    () => undefined, // the flusher meets the same trouble and reports it
  )
}

/** Runs commits one after another; at most `depth` slices are between take and commit. */
class CommitPipe {
  readonly #depth: () => number
  readonly #failed: (error: unknown) => void
  #tail: Promise<void> = Promise.resolve()
  readonly #open: Promise<void>[] = []
  #failure: { readonly error: unknown } | null = null

  constructor(depth: () => number, failed: (error: unknown) => void) {
    this.#depth = depth
    this.#failed = failed
  }

  push(commit: () => Promise<void>): void {
    const done = this.#tail.then(async () => {
      if (this.#failure === null) await commit()
    })
    this.#tail = done.catch((error: unknown) => {
      this.#failure ??= { error }
      this.#failed(error)
    })
    const settled = this.#tail
    this.#open.push(settled)
    void settled.then(() => this.#open.splice(this.#open.indexOf(settled), 1))
  }

  /** Waits until one more slice may be taken. */
  async room(): Promise<void> {
    while (this.#open.length >= this.#depth()) await this.#open[0]
    this.#throwFailure()
  }

  async drained(): Promise<void> {
    await this.#tail
    this.#throwFailure()
  }

  async settled(): Promise<void> {
    await this.#tail
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure.error
  }
}
