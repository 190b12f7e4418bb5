import { MillraceError } from '../errors.ts'
import type { CommittedPosition } from '../commit/transaction.ts'
import { allWatermarks } from '../features/store.ts'
import { inputName, type InputPartition } from '../record/input.ts'
import type { InputStream, LogRange } from '../source/source.ts'
import { parseMetadata, type CommitMetadata } from './metadata.ts'
import type { StateSetup } from './partition-context.ts'
import { planTakeover } from './takeover-plan.ts'
import { readFacts } from './takeover-facts.ts'
import { hold, replay, type Held, type ServePlan } from './takeover.ts'

/** What the group commits, as it goes on. */
export interface PositionFeed {
  /** The next position that is another than `known` (undefined: any); null: none is committed. */
  after(
    input: InputPartition,
    known: CommittedPosition | null | undefined,
    signal: AbortSignal,
  ): Promise<CommittedPosition | null>
}

/**
 * - `looking`: at the position, at Redis
 * - `reading`: the log up to the position
 * - `following`: the position as it moves
 * - `served`: nothing to do, a process of this definition owns the partition
 * - `cannot`: the next owner begins anew here; `detail` says why
 */
export type WarmPhase = 'looking' | 'reading' | 'following' | 'served' | 'cannot'

export interface WarmReading {
  readonly input: InputPartition
  readonly phase: WarmPhase
  readonly detail: string
  /** Where reading began, how far the store has come, and the committed offset. */
  readonly from: number
  readonly stored: number
  readonly until: number
}

/** Longer than an owner leaves any watermark as it is. */
const ownerShowsMs = 5_000
const backOffMs = 1_000

/**
 * Keeps the state of one partition in a namespace that nobody serves from yet, as an owner would and by the same
 * compare-and-set, but never further than the group has committed (R5) and without being a member of the group. As soon
 * as somebody else writes there, it stands aside.
 */
export class WarmTask {
  readonly #setup: StateSetup
  readonly #stream: InputStream
  readonly #positions: PositionFeed
  #held: Held | null = null
  #phase: WarmPhase = 'looking'
  #detail = ''
  #from = 0
  #until = 0
  /** An incarnation whose log was found to be another one: reading it again would end the same way. */
  #foreign: { readonly incarnation: string; readonly why: string } | null = null

  constructor(setup: StateSetup, stream: InputStream, positions: PositionFeed) {
    this.#setup = setup
    this.#stream = stream
    this.#positions = positions
  }

  get reading(): WarmReading {
    return {
      input: this.#setup.input,
      phase: this.#phase,
      detail: this.#detail,
      from: this.#from,
      stored: this.#held?.flusher.flushedOffset ?? this.#from,
      until: this.#until,
    }
  }

  /** Until aborted, or the generation of the stream ends. Rejects with an error that waiting does not mend. */
  async run(abort: AbortSignal): Promise<void> {
    const signal = AbortSignal.any([abort, this.#stream.ended])
    while (!signal.aborted) {
      try {
        await this.#warmOnce(signal)
      } catch (error) {
        if (signal.aborted) return
        await this.#recover(error, signal)
      }
      this.#held = null
    }
  }

  async #warmOnce(signal: AbortSignal): Promise<void> {
    const { shared, input } = this.#setup
    const position = await this.#positions.after(input, undefined, signal)
    const metadata = position === null ? null : parseMetadata(position.metadata)
    if (metadata?.stateHash === shared.plan.stateHash) return this.#rest('served', '', position, signal)
    if (position === null) return this.#rest('cannot', 'the group has committed nothing here', null, signal)
    if (metadata !== null && metadata.incarnation === this.#foreign?.incarnation) {
      return this.#rest('cannot', this.#foreign.why, position, signal)
    }
    if (this.#phase !== 'served') this.#moveTo('looking', '')
    if (await this.#someoneWrites(signal)) {
      this.#moveTo('served', 'another process writes the state')
      return
    }
    this.#moveTo('looking', '')
    const topics = await shared.topics.look(signal)
    const unknown = { foreignLog: null, acknowledged: null }
    const read = await readFacts(this.#setup, this.#stream, topics, position, unknown, signal)
    const plan = planTakeover(read.facts, read.policy)
    if (plan.kind === 'pin') return this.#rest('cannot', plan.reason, position, signal)
    if (plan.kind === 'again') return shared.clock.sleep(backOffMs, signal)
    await this.#follow(plan, read.log, read.readerTime, position, signal)
  }

  async #follow(
    plan: ServePlan,
    log: LogRange,
    readerTime: number | null,
    position: CommittedPosition,
    signal: AbortSignal,
  ): Promise<void> {
    const held = hold(this.#setup, this.#stream, plan, readerTime)
    this.#held = held
    this.#from = plan.replayFrom.offset
    this.#until = plan.metadata.offset
    this.#moveTo('reading', '')
    const working = new AbortController()
    const workSignal = AbortSignal.any([signal, working.signal])
    const flushing = held.flusher.run(workSignal).catch((error: unknown) => working.abort(error))
    try {
      await replay(this.#setup, this.#stream, held, plan, log, workSignal)
      this.#moveTo('following', '')
      for (let known = position; ;) {
        const next = await this.#positions.after(this.#setup.input, known, workSignal)
        const metadata = this.#continued(held, next)
        if (next === null || metadata === null) return
        const replayFrom = { offset: held.metadata.offset, maxTime: held.memory.maxTime }
        held.metadata = metadata
        this.#until = metadata.offset
        await replay(this.#setup, this.#stream, held, { metadata, replayFrom }, log, workSignal)
        known = next
      }
    } finally {
      working.abort()
      await flushing
    }
  }

  /** Null when the position is not further on in the same life, committed by a process of another definition. */
  #continued(held: Held, next: CommittedPosition | null): CommitMetadata | null {
    const metadata = next === null ? null : parseMetadata(next.metadata)
    const goesOn =
      metadata?.offset === next?.offset &&
      metadata?.incarnation === held.metadata.incarnation &&
      metadata.offset >= held.metadata.offset &&
      metadata.stateHash !== this.#setup.shared.plan.stateHash
    return goesOn ? metadata : null
  }

  /** An owner that has not committed yet shows itself by its watermark: it writes one every second. */
  async #someoneWrites(signal: AbortSignal): Promise<boolean> {
    const { shared } = this.#setup
    const before = await this.#watermarks(signal)
    if (before.every((text) => text === null)) return false
    await shared.clock.sleep(ownerShowsMs, signal)
    const now = await this.#watermarks(signal)
    return now.some((text, bucket) => text !== null && text !== before[bucket])
  }

  async #watermarks(signal: AbortSignal): Promise<readonly (string | null)[]> {
    const { shared, input } = this.#setup
    const maps = await allWatermarks(shared.store, signal)
    return maps.map((map) => map.get(inputName(input)) ?? null)
  }

  /** Until the position changes. */
  async #rest(
    phase: WarmPhase,
    detail: string,
    position: CommittedPosition | null,
    signal: AbortSignal,
  ): Promise<void> {
    this.#moveTo(phase, detail)
    await this.#positions.after(this.#setup.input, position, signal)
  }

  async #recover(error: unknown, signal: AbortSignal): Promise<void> {
    if (!(error instanceof MillraceError)) throw error
    const why = `${error.code}: ${error.message}`
    const incarnation = this.#held?.metadata.incarnation
    if (error.code === 'OFFSET_FOREIGN' && incarnation !== undefined) this.#foreign = { incarnation, why }
    else if (error.reaction === 'stop') throw error
    this.#moveTo('looking', why)
    await this.#setup.shared.clock.sleep(backOffMs, signal).catch(() => undefined) // the loop sees it
  }

  #moveTo(phase: WarmPhase, detail: string): void {
    this.#phase = phase
    this.#detail = detail
  }
}
