import type { Decoder } from '../decode/decoder.ts'
import type { SourcePlan } from '../decode/plan.ts'
import { compileFeatures } from '../features/compile.ts'
import type { Layout, PartLog } from '../features/compiled.ts'
import { isReject, type Event, type Reject } from '../record/event.ts'
import { inputName, type InputPartition } from '../record/input.ts'
import type { RawRecord } from '../record/raw-record.ts'
import type { Plan } from '../topology/plan.ts'
import { createApplier, type AppliedRow, type Applier, type ForeignParts } from './apply.ts'
import { lacksOf, type Lack, type Sight } from './lacking.ts'
import { sourceOf, visibleSpanMs } from './partition-context.ts'
import { PartitionMemory } from './partition-memory.ts'
import { awaitedFor, mergedReads, type MergedRead } from './peers.ts'
import { WriteTimes } from './write-times.ts'

/** One partition's log, from its start to its end of now. */
export interface ReplayLog {
  readonly input: InputPartition
  /** The next records in offset order, some at a time; none at the end. */
  read(signal: AbortSignal): Promise<readonly RawRecord[]>
  /** The next read begins at the start again. */
  rewind(): void
}

export interface ReplayOptions {
  readonly plan: Plan
  /** By source. */
  readonly decoders: ReadonlyMap<string, Decoder>
  /** Of all partitions of all sources that features read; the order does not matter. */
  readonly logs: readonly ReplayLog[]
  /** Rows tell what a prediction of them lacks: 16 bytes more for each record that others read with a delay. */
  readonly tellsLacks?: boolean
}

/** A row as the service computes it. */
export interface ReplayedFeatures extends AppliedRow {
  /** What a prediction of it had to have read of other partitions and had not; asked before the next row. */
  lacks(sight: Sight): readonly Lack[]
}

/**
 * The features of every scored event, by the code of the service, without Redis: state of every partition in memory. In
 * which order logs were written or uploaded does not matter:
 * - scored partitions go on together in event time, so that each sees of the others what lies before it;
 * - other sources are read to their ends first, as the service waits for all that a delay makes complete;
 * - only features without delay see another source as it became known, by record timestamps: there is no other order.
 *
 * Yields rows and dead letters, per partition in offset order. Memory grows with the logs of the other sources.
 */
export async function* replayFeatures(
  { plan, decoders, logs, tellsLacks = false }: ReplayOptions,
  signal: AbortSignal,
): AsyncGenerator<ReplayedFeatures | Reject> {
  const heads = logs.map((log) => new Head(log, decoderOf(decoders, log.input), signal))
  const isScored = ({ log }: Head): boolean => log.input.source === plan.featuresSpec.scored
  const scored = heads.filter(isScored)
  const others = heads.filter((head) => !isScored(head))
  const replay = new Replay(plan, logs, tellsLacks)
  for (const head of others) {
    const known = replay.known(head.log.input)
    for (let item = await head.peek(); item !== null; item = await head.peek()) {
      head.take()
      const result = isReject(item) ? item : known.apply(item, null)
      if (result !== null && 'rejected' in result) yield result
    }
    head.rewind()
  }
  const published = others.filter(({ log }) => replay.readsWithoutDelay(log.input.source))
  for (;;) {
    const head = await earliest(scored)
    const item = (await head?.peek()) ?? null
    if (head === null || item === null) return
    head.take()
    if (isReject(item)) {
      yield item
      continue
    }
    for (const other of published) await follow(replay, other, item.raw.timestamp)
    const { input } = head.log
    const result = replay.scored(input).apply(item, replay.foreignOf(input))
    if (result === null) continue
    yield 'rejected' in result ? result : { ...result, lacks: (sight) => replay.lacksOf(input, item, sight) }
  }
}

function decoderOf(decoders: ReadonlyMap<string, Decoder>, { source }: InputPartition): Decoder {
  const decoder = decoders.get(source)
  if (decoder === undefined) throw new Error(`no decoder for ${source}`)
  return decoder
}

/** Applies what another source's partition had got when a record of this timestamp was written. */
async function follow(replay: Replay, head: Head, timestampMs: number): Promise<void> {
  const published = replay.published(head.log.input)
  for (
    let item = await head.peek();
    item !== null && item.raw.timestamp <= timestampMs;
    item = await head.peek()
  ) {
    head.take()
    if (!isReject(item)) published.apply(item, null)
  }
}

/** Of several partitions the one whose next event is the oldest; dead letters have no time and come at once. */
async function earliest(heads: readonly Head[]): Promise<Head | null> {
  let first: Head | null = null
  let firstTime = Infinity
  for (const head of heads) {
    const item = head.next ?? (await head.peek())
    if (item === null) continue
    if (isReject(item)) return head
    if (first === null || item.time < firstTime) {
      first = head
      firstTime = item.time
    }
  }
  return first
}

/** A log and its next decoded record. */
class Head {
  readonly log: ReplayLog
  readonly #decoder: Decoder
  readonly #signal: AbortSignal
  #queue: readonly (Event | Reject)[] = []
  #at = 0
  #isOver = false

  constructor(log: ReplayLog, decoder: Decoder, signal: AbortSignal) {
    this.log = log
    this.#decoder = decoder
    this.#signal = signal
  }

  /** At hand; null: `peek` knows. */
  get next(): Event | Reject | null {
    return this.#queue[this.#at] ?? null
  }

  /** Null at the end. */
  async peek(): Promise<Event | Reject | null> {
    while (this.next === null && !this.#isOver) {
      const records = await this.log.read(this.#signal)
      await this.#decoder.prepare(records, this.#signal)
      this.#queue = records.map((record) => this.#decoder.decode(record))
      this.#at = 0
      this.#isOver = records.length === 0
    }
    return this.next
  }

  take(): void {
    this.#at++
  }

  rewind(): void {
    this.log.rewind()
    this.#queue = []
    this.#at = 0
    this.#isOver = false
  }
}

/** One partition's state, and how events change it. */
class ReplayedState {
  readonly #memory: PartitionMemory
  readonly #applier: Applier
  readonly #plan: Plan
  readonly #source: SourcePlan
  readonly #slowest: () => number | null
  readonly #times: WriteTimes | null

  constructor(
    plan: Plan,
    input: InputPartition,
    fed: readonly Layout[],
    slowest: () => number | null,
    times: WriteTimes | null,
  ) {
    this.#plan = plan
    this.#times = times
    this.#slowest = slowest
    this.#source = sourceOf(plan, input.source)
    const memory = new PartitionMemory(plan.features, 1, () => 0)
    this.#memory = memory
    this.#applier = createApplier({
      plan,
      source: this.#source,
      memory,
      fed,
      committedTime: () => memory.maxTime,
      slowestReaderTime: slowest,
      storedBelow: () => 0,
      gapUntil: null,
    })
  }

  get maxTime(): number | null {
    return this.#memory.maxTime
  }

  logOf(layout: Layout, entityKey: string): PartLog | null {
    return this.#memory.find(layout, entityKey)?.log ?? null
  }

  /** Since when a record stood in the log; Infinity: it need not have been read, or nobody asked for it. */
  stoodAt(offset: number): number {
    return this.#times?.stoodAt(offset) ?? Infinity
  }

  apply(event: Event, foreign: ForeignParts | null): AppliedRow | Reject | null {
    const { offset, timestamp } = event.raw
    this.#times?.note(offset, timestamp, event.time, this.#isPromised(event))
    const slowest = this.#times === null ? null : this.#slowest()
    if (slowest !== null) this.#times?.forgetUntil(slowest - visibleSpanMs(this.#plan))
    for (const layout of this.#applier.fed) {
      const key = this.#plan.features.entityKey(layout, event)
      if (key !== null && this.#memory.find(layout, key) === null) this.#memory.put(layout, key, null)
    }
    const result = this.#applier.apply(event, foreign)
    this.#memory.flushed(0, offset + 1)
    return result
  }

  /** Within outOfOrder: one further behind is not waited for. */
  #isPromised({ time }: Event): boolean {
    const { disorderMaxMs } = this.#source
    return disorderMaxMs === null || time > (this.maxTime ?? -Infinity) - Math.max(1, disorderMaxMs)
  }
}

/** The states of all partitions: of other sources two, one for features with delay and one for those without. */
class Replay {
  readonly #plan: Plan
  readonly #merged: readonly MergedRead[]
  readonly #scored = new Map<string, ReplayedState>()
  readonly #known = new Map<string, ReplayedState>()
  readonly #published = new Map<string, ReplayedState>()

  constructor(plan: Plan, logs: readonly ReplayLog[], tellsLacks: boolean) {
    const features = compileFeatures(plan.featuresSpec, { readAhead: true })
    this.#plan = { ...plan, features }
    const counts = Map.groupBy(logs, ({ input }) => input.topic)
    this.#merged = mergedReads(this.#plan, new Map([...counts].map(([topic, { length }]) => [topic, length])))
    for (const { input } of logs) {
      const fed = features.layoutsFedBy(input.source)
      const isAwaited = awaitedFor(this.#merged, input.source) !== 'no'
      const times = (): WriteTimes | null => (tellsLacks && isAwaited ? new WriteTimes() : null)
      const stateOf = (layouts: readonly Layout[], written: WriteTimes | null): ReplayedState =>
        new ReplayedState(this.#plan, input, layouts, () => this.#slowest(), written)
      const name = inputName(input)
      if (input.source === plan.featuresSpec.scored) this.#scored.set(name, stateOf(fed, times()))
      else {
        this.#known.set(
          name,
          stateOf(
            fed.filter(({ delayed }) => delayed),
            times(),
          ),
        )
        this.#published.set(
          name,
          stateOf(
            fed.filter(({ delayed }) => !delayed),
            null,
          ),
        )
      }
    }
  }

  scored(input: InputPartition): ReplayedState {
    return at(this.#scored, input)
  }
  known(input: InputPartition): ReplayedState {
    return at(this.#known, input)
  }
  published(input: InputPartition): ReplayedState {
    return at(this.#published, input)
  }

  readsWithoutDelay(source: string): boolean {
    return this.#plan.features.layoutsFedBy(source).some(({ delayed }) => !delayed)
  }

  /** Other partitions' parts for an event of this one. */
  foreignOf(own: InputPartition): ForeignParts {
    const ownName = inputName(own)
    return {
      of: (index, entityKey) => {
        const read = this.#merged.find(({ layout }) => layout.index === index)
        if (read === undefined) return []
        return read.inputs.flatMap((input) => {
          const log =
            input === ownName ? null : this.#stateOf(read.layout, input).logOf(read.layout, entityKey)
          return log === null ? [] : [log]
        })
      },
      gapUntil: () => null,
      keptSince: -Infinity,
    }
  }

  /** Of a row that was just computed. */
  lacksOf(own: InputPartition, event: Event, sight: Sight): readonly Lack[] {
    const parts = {
      merged: this.#merged,
      logOf: (layout: Layout, input: string, entityKey: string) =>
        this.#stateOf(layout, input).logOf(layout, entityKey),
      stoodAt: (input: string, offset: number) => this.#awaited(input).stoodAt(offset),
    }
    return lacksOf(this.#plan, parts, event, inputName(own), sight)
  }

  #awaited(input: string): ReplayedState {
    const state = this.#scored.get(input) ?? this.#known.get(input)
    if (state === undefined) throw new Error(`no log of ${input}`)
    return state
  }

  #stateOf({ source, delayed }: Layout, input: string): ReplayedState {
    const states =
      source === this.#plan.featuresSpec.scored ? this.#scored : delayed ? this.#known : this.#published
    const state = states.get(input)
    if (state === undefined) throw new Error(`no log of ${input}`)
    return state
  }

  /** Largest event time of the scored partition furthest behind; null while one has none. */
  #slowest(): number | null {
    let time = Infinity
    for (const { maxTime } of this.#scored.values()) {
      if (maxTime === null) return null
      time = Math.min(time, maxTime)
    }
    return time
  }
}

function at(states: ReadonlyMap<string, ReplayedState>, input: InputPartition): ReplayedState {
  const state = states.get(inputName(input))
  if (state === undefined) throw new Error(`no state of ${inputName(input)}`)
  return state
}
