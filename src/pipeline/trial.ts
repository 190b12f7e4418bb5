import { MillraceError } from '../errors.ts'
import { inputName } from '../record/input.ts'
import type { OutputRecord } from '../record/output.ts'
import type { InputStream, Taken } from '../source/source.ts'
import {
  acquitted,
  aloneLostMax,
  begin,
  convicted,
  convictedInARowMax,
  quarantineMax,
  sameAttempt,
  slicesLostMax,
  stageOf,
  survived,
  type Attempt,
  type Stage,
} from './attempt.ts'
import { encodeMetadata, parseMetadata, type CommitMetadata } from './metadata.ts'
import type { PartitionSetup } from './partition-context.ts'
import type { TurnKind } from './process-turns.ts'
import type { Owned } from './takeover.ts'

/** Records about to be worked on. What runs code over them does so between `enter` and `leave` (or the commit). */
export interface Run extends Taken {
  enter(signal: AbortSignal): Promise<void>
  /** Before waiting for others (Redis, other partitions): a wait proves nothing, and must not keep anybody waiting. */
  leave(): Promise<void>
  /** Committed or given up. Idempotent. */
  end(): void
}

/** Watches over one ownership: notes what it is about to do before the first acknowledged slice, and isolates suspects. */
export class Trial {
  readonly #setup: PartitionSetup
  readonly #stream: InputStream
  readonly #owned: Owned
  readonly #name: string
  readonly #logStart: number
  readonly #open = new Set<Run>()
  /** Nothing with records was acknowledged yet. */
  #fresh = true
  #isMember = false
  #warned = false
  /** A transaction is under way, or ended in anything but an acknowledged commit: the claim must not be used (R6). */
  #unsure = false

  /** `logStart`: first offset of the log, some time after the claim. */
  constructor(setup: PartitionSetup, stream: InputStream, owned: Owned, logStart: number) {
    this.#stream = stream
    this.#logStart = logStart
    this.#setup = setup
    this.#owned = owned
    this.#name = inputName(setup.input)
    const { metadata } = owned
    const note = setup.trials.notes.get(this.#name)
    if (note?.offset === metadata.offset && sameAttempt(note.written, metadata.attempt ?? null)) {
      owned.metadata = { ...metadata, attempt: note.before }
    }
    setup.trials.notes.delete(this.#name)
  }

  /** True while a slice has to be acknowledged before the next one is begun. */
  get single(): boolean {
    return this.#fresh || (this.#owned.metadata.attempt ?? null) !== null
  }

  /** Decides how the records are run, and how many of them. Throws POISON_LIMIT. */
  async plan(taken: Taken, signal: AbortSignal): Promise<Run> {
    const [first] = taken.records
    const attempt = this.#owned.metadata.attempt ?? null
    if (first === undefined || (!this.#fresh && attempt === null)) {
      return this.#run(taken, 'shared', null, null)
    }
    // The suspects may be followed by offsets without records.
    const before = attempt?.alone === true && first.offset >= attempt.to ? null : attempt
    const stage = stageOf(before)
    if (stage !== 'together') await this.#mustBeMember(signal)
    if (before !== null) this.#warn(stage, before)
    const records = stage === 'alone' || stage === 'convicted' ? [first] : taken.records
    const next = records.length < taken.records.length ? first.offset + 1 : taken.next
    if (stage === 'convicted' && before !== null) {
      await this.#convict(first.offset, before)
      return this.#run({ records, next }, 'shared', null, null)
    }
    const note = begin(before, next)
    return this.#run({ records, next }, stage === 'together' ? 'shared' : 'exclusive', note, before)
  }

  /** The note to commit with a slice up to `next`. */
  noteAfter({ records, next }: Taken): Attempt | null {
    const { attempt = null, quarantine } = this.#owned.metadata
    const [first] = records
    if (first === undefined) return attempt
    const isConviction = attempt !== null && quarantine.includes(first.offset)
    return isConviction ? convicted(attempt, next) : survived(attempt, next)
  }

  /** A slice was acknowledged. */
  committed(run: Run, records: number): void {
    if (records > 0) {
      this.#fresh = false
      this.#setup.trials.notes.delete(this.#name)
    }
    run.end()
  }

  /** The ownership ends, for this reason (null: drained). What the process survived is taken back, if that is possible. */
  async close(reason: unknown, aborted: AbortSignal): Promise<void> {
    const { heldTurns, notes } = this.#setup.trials
    const endTurns = (): void => this.#open.forEach((run) => run.end())
    const stopped = aborted.aborted && reason === aborted.reason
    if (!stopped && endsProcess(reason)) {
      heldTurns.set(this.#name, endTurns)
      return
    }
    endTurns()
    const note = notes.get(this.#name)
    if (note === undefined || this.#unsure) return
    await this.#write(note.before).catch(() => undefined)
  }

  /** One transaction of this ownership; what it commits is known from then on. */
  async commit(outputs: readonly OutputRecord[], metadata: CommitMetadata): Promise<void> {
    this.#unsure = true
    await this.#owned.claim.run(outputs, { offset: metadata.offset, metadata: encodeMetadata(metadata) })
    this.#unsure = false
    this.#owned.metadata = metadata
  }

  #run(taken: Taken, kind: TurnKind, note: Attempt | null, before: Attempt | null): Run {
    let endTurn: (() => void) | null = null
    const end = (): void => {
      endTurn?.()
      endTurn = null
      this.#open.delete(run)
    }
    const run: Run = {
      ...taken,
      enter: async (signal) => {
        endTurn ??= await this.#setup.trials.turns.take(kind, signal)
        this.#open.add(run)
        if (note !== null && !sameAttempt(note, this.#owned.metadata.attempt ?? null)) {
          await this.#write(note, before)
        }
      },
      leave: async () => {
        if (note?.alone === true) await this.#write(before)
        end()
      },
      end,
    }
    return run
  }

  /** In a transaction of its own, at the same offset. `before`: what to go back to, when this one is to be undone. */
  async #write(attempt: Attempt | null, before?: Attempt | null): Promise<void> {
    const metadata = { ...this.#owned.metadata, attempt }
    if (attempt !== null && before !== undefined) {
      this.#setup.trials.notes.set(this.#name, { offset: metadata.offset, written: attempt, before })
    }
    await this.commit([], metadata)
    if (before === undefined) this.#setup.trials.notes.delete(this.#name)
  }

  /**
   * Once an ownership: whoever was thrown out of the group, and does not know it yet, fences a live owner by its claim, and would
   * take him for dead.
   */
  async #mustBeMember(signal: AbortSignal): Promise<void> {
    if (this.#isMember) return
    try {
      await this.#stream.heartbeatAccepted(signal)
    } catch (error) {
      signal.throwIfAborted()
      const text = `${this.#name}: this process is no member of the group any more`
      throw new MillraceError('TRANSACTION_FENCED', text, { cause: error })
    }
    this.#isMember = true
  }

  /** From here on the record counts as quarantined; the commit of its dead letter makes that last. */
  async #convict(offset: number, before: Attempt): Promise<void> {
    const owned = this.#owned
    const { base, quarantine } = owned.metadata
    // What no rebuild can read again needs no remembering.
    const kept = quarantine.filter((known) => known >= Math.max(base, this.#logStart))
    const full = kept.length >= quarantineMax
    if (full || before.convicted >= convictedInARowMax) {
      await this.#write(acquitted(before))
      throw limitError(this.#name, offset, full)
    }
    owned.metadata = { ...owned.metadata, quarantine: [...kept, offset] }
  }

  #warn(stage: Stage, attempt: Attempt): void {
    if (this.#warned && stage === 'alone') return
    this.#warned = true
    const { shared, input } = this.#setup
    const { offset } = this.#owned.metadata
    const where = `${this.#name}: owners were lost ${attempt.tries} times over the records from offset ${offset}`
    const text = {
      together: `${where} to ${attempt.to}, and nothing was committed; trying them again`,
      exclusive: `${where} to ${attempt.to}, and nothing was committed; trying them while no other partition works`,
      alone: `${where}; the records up to ${attempt.to} are run one by one, while no other partition works`,
      convicted: `${where}, which was alone: it becomes a dead letter (POISON)`,
    }
    shared.observer.trouble(input, new MillraceError('RECORD_POISON', text[stage]))
  }
}

/** The process goes on after all. */
export function endHeldTurn({ input, trials }: PartitionSetup): void {
  trials.heldTurns.get(inputName(input))?.()
  trials.heldTurns.delete(inputName(input))
}

/** A model that hangs, or an error nobody thought of: the process ends over what it is doing. */
function endsProcess(error: unknown): boolean {
  if (error === null) return false
  return !(error instanceof MillraceError) || error.code === 'MODEL_HANG' || error.code === 'INTERNAL'
}

function limitError(name: string, offset: number, full: boolean): MillraceError {
  const why = full
    ? `${quarantineMax} records of this partition are quarantined already`
    : `so did the ${convictedInARowMax} records before it, and that is hardly the fault of the records`
  return new MillraceError(
    'POISON_LIMIT',
    `${name}: the record at offset ${offset} ended the process ${aloneLostMax} times while it was run alone; ${why}`,
  )
}

/** What a quarantined record's dead letter says. */
export const poisonMessage =
  `the process ended or hung ${slicesLostMax} times with this record's slice under way and ${aloneLostMax} times with the ` +
  'record alone; it was neither scored nor applied to features'
export const poisonAttempts = slicesLostMax + aloneLostMax

/**
 * For an owner that stops the process for a reason of another kind, with a claim that is dead: takes its note back under
 * a new one, so that restarts do not pile up into a suspicion.
 */
export async function withdrawNote(
  { shared, input, trials }: PartitionSetup,
  reason: unknown,
  signal: AbortSignal,
): Promise<void> {
  const note = trials.notes.get(inputName(input))
  if (note === undefined || endsProcess(reason)) return
  const claim = await shared.transactions.claim(input, signal)
  try {
    const committed = await claim.committed(signal)
    const metadata = committed === null ? null : parseMetadata(committed.metadata)
    if (metadata?.offset !== note.offset || !sameAttempt(metadata.attempt ?? null, note.written)) return
    await claim.run([], {
      offset: note.offset,
      metadata: encodeMetadata({ ...metadata, attempt: note.before }),
    })
  } finally {
    await claim.close()
  }
}
