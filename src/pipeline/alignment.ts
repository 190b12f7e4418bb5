import { allWatermarks } from '../features/store.ts'
import { isReject, type Event, type Reject } from '../record/event.ts'
import { loadParts, trusted, type LoadedForeign, type LoaderOptions } from './part-loader.ts'
import type { PartitionSetup } from './partition-context.ts'
import { alignedUntil, awaitedInputs, leastKnown, type MergedRead, type Stamp } from './peers.ts'
import { loaderOf, type Owned } from './takeover.ts'
import type { LogEnds } from './topic-life.ts'
import { withTimeout } from '../time/deadline.ts'
import { untilAborted } from '../time/until-aborted.ts'

export interface SliceSignals {
  readonly signal: AbortSignal
  /** Also aborted when the partition drains: nothing of a slice that waits for others is applied yet, so it may be left. */
  readonly wait: AbortSignal
}

/** What a slice may use of its records, and what it read of other partitions for them. */
export interface Aligned {
  /** Records to take; those behind them wait for the next slice. */
  readonly count: number
  readonly foreign: LoadedForeign | null
  /** Events after it are scored before the others have caught up; Infinity: none are. */
  readonly unalignedAfter: number
  /** Then: offsets of each other partition that were there when the events came and had not been read. */
  readonly behind: Stamp
}

const aligned = { unalignedAfter: Infinity, behind: {} } as const

/** Watermarks are looked at soon, then less often. */
const pollMinMs = 5
const pollMaxMs = 50
/** A leader that does not say in this time where its log ends is asked again later. */
const askMaxMs = 5_000

/**
 * Loads what the events need and, for delayed merged reads, waits (at most `align`) until at least the first of them is
 * aligned: every partition it reads has seen enough event time, or has been read to the end of its log as it stood after
 * the events had come.
 */
export async function loadAligned(
  setup: PartitionSetup,
  owned: Owned,
  decoded: readonly (Event | Reject)[],
  signals: SliceSignals,
): Promise<Aligned> {
  const { shared, source } = setup
  owned.flusher.refuseOutlived()
  const events = decoded.filter((item): item is Event => !isReject(item))
  const options = loaderOf(setup, owned)
  if (source.role !== 'score' || owned.merged.length === 0) {
    const foreign = await loadParts(
      options,
      events,
      source.role === 'score' ? { ends: null } : null,
      signals.signal,
    )
    return { count: decoded.length, foreign, ...aligned }
  }
  const arrival = new Arrival(setup, options)
  if (owned.merged.some(waitsForEnd)) await arrival.ask(signals.wait)
  const giveUpAt = shared.clock.monotonic() + source.alignMs
  const isOver = (): boolean => arrival.asked && shared.clock.monotonic() >= giveUpAt
  for (;;) {
    const foreign = await loadParts(options, events, { ends: arrival.ends }, signals.signal)
    const until = foreign?.alignedUntil ?? Infinity
    const blocked = decoded.findIndex((item) => !isReject(item) && item.time > until)
    if (blocked < 0) return { count: decoded.length, foreign, ...aligned }
    if (blocked > 0) return { count: blocked, foreign, ...aligned }
    const first = decoded[0] as Event
    owned.flusher.waitsAt(owned.prepared, first)
    if (isOver()) {
      const behind = arrival.behind(foreign?.seen ?? {})
      return { count: decoded.length, foreign, unalignedAfter: until, behind }
    }
    await arrival.catchUp(first.time, isOver, signals)
  }
}

/** No event time says that all before it was read. */
function waitsForEnd({ delayMs, slackMs }: MergedRead): boolean {
  return delayMs > 0 && slackMs === null
}

/** Where the logs of the others ended after the events of a slice had come, and how far they are read by now. */
class Arrival {
  /** Null while not known. */
  ends: LogEnds | null = null
  asked = false
  readonly #setup: PartitionSetup
  readonly #options: LoaderOptions

  constructor(setup: PartitionSetup, options: LoaderOptions) {
    this.#setup = setup
    this.#options = options
  }

  /** Asks for the ends, once; without an answer event times decide, or the next try. */
  async ask(signal: AbortSignal): Promise<void> {
    const { merged, inputName } = this.#options
    const { clock, topics } = this.#setup.shared
    const answer = topics.logEnds([...awaitedInputs(merged, inputName)], signal)
    try {
      this.ends = await untilAborted(
        withTimeout(answer, askMaxMs, clock, 'asking for the ends of logs'),
        signal,
      )
    } catch {
      signal.throwIfAborted()
    } finally {
      this.asked = true
    }
  }

  /** Offsets below the ends that nobody has read. */
  behind(seen: Stamp): Stamp {
    const missing = [...(this.ends ?? [])].map(([input, end]) => [input, end - (seen[input] ?? 0)] as const)
    return Object.fromEntries(missing.filter(([, offsets]) => offsets > 0))
  }

  /** Waits until an event at `timeMs` is aligned, as far as the watermarks say, or until `isOver`. */
  async catchUp(timeMs: number, isOver: () => boolean, { signal, wait }: SliceSignals): Promise<void> {
    const { store, clock } = this.#setup.shared
    const { merged, inputName } = this.#options
    let pollMs = pollMinMs
    for (;;) {
      if (this.ends === null) await this.ask(wait)
      const known = trusted(this.#options, leastKnown(await allWatermarks(store, signal)))
      if (timeMs <= alignedUntil(merged, inputName, known, this.ends) || isOver()) return
      await clock.sleep(pollMs, wait)
      pollMs = Math.min(2 * pollMs, pollMaxMs)
    }
  }
}
