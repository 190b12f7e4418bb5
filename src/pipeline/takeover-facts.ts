import { MillraceError } from '../errors.ts'
import type { CommittedPosition } from '../commit/transaction.ts'
import type { SourcePlan } from '../decode/plan.ts'
import type { Layout } from '../features/compiled.ts'
import { allWatermarks, type Watermarks } from '../features/store.ts'
import { inputName } from '../record/input.ts'
import type { InputStream, LogRange } from '../source/source.ts'
import type { Plan } from '../topology/plan.ts'
import { committedReaderTime, keptForAtMost } from './committed-readers.ts'
import { missesRecords } from './deleted-records.ts'
import { parseMetadata, type CommitMetadata } from './metadata.ts'
import { sourceOf, visibleSpanMs, type StateSetup } from './partition-context.ts'
import { leastKnown, mergedReads, slowestReader } from './peers.ts'
import type { TakeoverFacts, TakeoverPolicy } from './takeover-types.ts'
import { isOtherTopic, latest, type TopicLives } from './topic-life.ts'
import type { Watermark } from './watermark.ts'

/** What this process learned while it owned the partition before. */
export interface KnownBefore {
  readonly foreignLog: string | null
  readonly acknowledged: { readonly incarnation: string; readonly offset: number } | null
}

export interface ReadFacts {
  readonly facts: TakeoverFacts
  readonly policy: TakeoverPolicy
  readonly log: LogRange
  readonly readerTime: number | null
}

/** Everything a takeover decides from, read after the position (R3). `topics`: as looked at before that. */
export async function readFacts(
  setup: StateSetup,
  stream: InputStream,
  topics: TopicLives,
  committed: CommittedPosition | null,
  known: KnownBefore,
  signal: AbortSignal,
): Promise<ReadFacts> {
  const { shared, input } = setup
  const name = inputName(input)
  const log = await stream.logRange()
  const maps = await allWatermarks(shared.store, signal)
  const nowMs = shared.clock.now()
  const peers = leastKnown(maps)
  const readerTime = slowestReader(shared.plan, shared.partitionCounts, peers, nowMs)
  const own = committed === null ? null : parseMetadata(committed.metadata)
  const policy = { ...policyOf(setup), start: await startOffset(setup, stream) }
  const topic = await topicFacts(setup, topics, own, peers, signal)
  const times = { clusterId: shared.clusterId, nowMs, futureMaxMs: policy.futureMaxMs }
  const isMissing = missesRecords({ committed, log }, policy)
  const timestampAt = (offset: number): Promise<number | null> => timestampFrom(stream, offset, log, signal)
  const oldestTimestamp = isMissing ? await timestampAt(log.start) : null
  const isNextOldest = committed === null || committed.offset <= log.start
  const nextTimestamp = isMissing
    ? ((isNextOldest ? oldestTimestamp : await timestampAt(committed.offset)) ?? nowMs)
    : null
  const facts: TakeoverFacts = {
    name,
    partition: input.partition,
    committed,
    ...topic,
    log,
    watermarks: maps.map((map) => map.get(name) ?? null),
    slowestReaderTime: storesMerged(setup) ? readerTime : Infinity,
    committedReaderTime:
      storesMerged(setup) && own !== null && own.base < log.start
        ? await committedReaderTime(shared, topics, signal)
        : null,
    trimmedFor: isAnythingKept(setup, maps)
      ? latest([readerTime, keptForAtMost(own, topic.siblings, times)])
      : null,
    forgottenTime: committed === null ? await forgottenTime(setup, topic.siblings, signal) : null,
    oldestTimestamp,
    ...(nextTimestamp === null ? {} : { nextTimestamp }),
    nowMs,
    clusterId: shared.clusterId,
    ...known,
  }
  return { facts, policy, log, readerTime }
}

/** The topic, and what the group committed in its other partitions, as far as the decision needs it. */
async function topicFacts(
  setup: StateSetup,
  topics: TopicLives,
  own: CommitMetadata | null,
  watermarks: ReadonlyMap<string, Watermark>,
  signal: AbortSignal,
): Promise<Pick<TakeoverFacts, 'topic' | 'siblings' | 'remembered'>> {
  const { shared, input } = setup
  const seen = topics.get(input.topic)
  if (seen === undefined) throw new MillraceError('KAFKA_TOPIC_GONE', `${inputName(input)}: no such topic`)
  const isKnown = own?.partitions && own.partitions.accepted >= seen.partitions
  const siblings = isKnown ? [] : await siblingsOf(setup, signal)
  const remembered = [...watermarks]
    .filter(([name]) => name.startsWith(`${input.topic}:`))
    .map(([, { incarnation }]) => incarnation)
  const committedIn = [...(own === null ? [] : [own]), ...siblings].map(({ incarnation }) => incarnation)
  const isSuspect = [...remembered, ...committedIn].some((one) => isOtherTopic(one, seen.id))
  // Only a majority of the brokers makes another log of it: one that is behind would make records be scored again.
  const id = isSuspect ? await shared.topics.agreedId(input.topic, signal) : seen.id
  return { topic: { ...seen, id }, siblings, remembered }
}

/** What the group committed in the other partitions of the topic. */
async function siblingsOf(
  { shared, input }: StateSetup,
  signal: AbortSignal,
): Promise<readonly CommitMetadata[]> {
  return commitsIn(shared, input.topic, signal, input.partition)
}

/** As far as this service wrote them; of all partitions but one. */
async function commitsIn(
  { topics }: StateSetup['shared'],
  topic: string,
  signal: AbortSignal,
  except: number | null = null,
): Promise<readonly CommitMetadata[]> {
  const positions = await topics.positions(topic, signal)
  return [...positions].flatMap(([partition, { metadata }]) => {
    const parsed = partition === except ? null : parseMetadata(metadata)
    return parsed === null ? [] : [parsed]
  })
}

/** Of the first record at or after `offset`; null: there is none. */
async function timestampFrom(
  stream: InputStream,
  offset: number,
  log: LogRange,
  signal: AbortSignal,
): Promise<number | null> {
  stream.seek(offset)
  while (stream.position < log.end) {
    const { records } = await stream.take(1, signal)
    if (records[0] !== undefined) return records[0].timestamp
  }
  return null
}

/** Whether other partitions read what this one stores. */
export function storesMerged({ shared, source }: StateSetup): boolean {
  return mergedLayouts(shared.plan, source).length > 0
}

/** What a source stores and other partitions read. */
export function mergedLayouts({ features }: Plan, source: Pick<SourcePlan, 'name'>): readonly Layout[] {
  return features.layoutsFedBy(source.name).filter((layout) => features.mergedReads.includes(layout))
}

/** Whether features see only what is in the event's own partition, so that a key that moves loses its past. */
export function keysMustStay(plan: Plan, source: Pick<SourcePlan, 'name'>): boolean {
  return plan.features.layoutsFedBy(source.name).length > mergedLayouts(plan, source).length
}

/** Whether this partition reads what others store, and any of them began to. */
function isAnythingKept({ shared, source }: StateSetup, buckets: readonly Watermarks[]): boolean {
  if (source.role !== 'score') return false
  const inputs = mergedReads(shared.plan, shared.partitionCounts).flatMap((read) => read.inputs)
  return inputs.some((input) => buckets.some((watermarks) => watermarks.has(input)))
}

/** No reader that was known could see it any more when they forgot the anchor before it. */
async function forgottenTime(
  { shared, source, input }: StateSetup,
  siblings: readonly CommitMetadata[],
  signal: AbortSignal,
): Promise<number | null> {
  if (source.role !== 'score') return null
  const topics = new Set(
    shared.plan.features.mergedReads.map((layout) => sourceOf(shared.plan, layout.source).topic),
  )
  const times: (number | null)[] = []
  for (const topic of topics) {
    const commits = topic === input.topic ? siblings : await commitsIn(shared, topic, signal)
    for (const { clusterId, base, anchors } of commits) {
      const [oldest] = anchors
      if (clusterId === shared.clusterId && oldest && oldest.offset > base) times.push(oldest.maxTime)
    }
  }
  return latest(times)
}

async function startOffset(setup: StateSetup, stream: InputStream): Promise<TakeoverPolicy['start']> {
  const { start } = setup.source
  if (typeof start === 'string') return start
  return { offset: await stream.offsetAt(start) }
}

function policyOf({ shared, source }: StateSetup): Omit<TakeoverPolicy, 'start'> {
  const { store, stateHash } = shared.plan
  return {
    stateHash,
    onForeignOffset: store.onForeignOffset,
    onLogGone: store.onLogGone,
    onPartitionsAdded: store.onPartitionsAdded,
    keysMustStay: keysMustStay(shared.plan, source),
    outageMaxMs: store.outageMaxMs,
    visibleSpanMs: visibleSpanMs(shared.plan),
    futureMaxMs: source.limits.futureMaxMs,
    newIdentity: shared.newIdentity,
  }
}
