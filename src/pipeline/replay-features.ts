import type { PartLog } from '../features/compiled.ts'
import { isReject, type Event, type Reject } from '../record/event.ts'
import { inputName, type InputPartition } from '../record/input.ts'
import type { RawRecord } from '../record/raw-record.ts'
import type { Plan } from '../topology/plan.ts'
import { createApplier, type AppliedRow, type Applier, type ForeignParts } from './apply.ts'
import type { Decoder } from '../decode/decoder.ts'
import { sourceOf } from './partition-context.ts'
import { PartitionMemory } from './partition-memory.ts'
import { mergedReads } from './peers.ts'

/** The feature code of the service over a log, without Redis: state of every partition in memory. */
export interface FeatureReplay {
  /**
   * Applies the next record of a partition; per partition in offset order, between partitions in the order in which
   * the records became known (record timestamps). Null: nothing to report (a state source).
   */
  next(input: InputPartition, record: RawRecord): AppliedRow | Reject | null
}

interface ReplayedPartition {
  readonly memory: PartitionMemory
  readonly applier: Applier
  readonly decoder: Decoder
  readonly foreign: ForeignParts
}

export function createFeatureReplay(
  plan: Plan,
  partitionCounts: ReadonlyMap<string, number>,
  decoders: ReadonlyMap<string, Decoder>,
): FeatureReplay {
  const partitions = new Map<string, ReplayedPartition>()
  const merged = mergedReads(plan, partitionCounts)
  const scoredTopic = sourceOf(plan, plan.featuresSpec.scored).topic

  const slowest = (): number | null => {
    let time = Infinity
    for (let partition = 0; partition < (partitionCounts.get(scoredTopic) ?? 0); partition++) {
      const memory = partitions.get(inputName({ topic: scoredTopic, partition }))?.memory
      if (memory === undefined || memory.maxTime === null) return null
      time = Math.min(time, memory.maxTime)
    }
    return time
  }
  const foreignOf = (own: string): ForeignParts => ({
    of: (index, entityKey) => {
      const read = merged.find(({ layout }) => layout.index === index)
      const logs: PartLog[] = []
      for (const input of read?.inputs ?? []) {
        const held =
          input === own ? null : partitions.get(input)?.memory.find(plan.features.layouts[index]!, entityKey)
        if (held) logs.push(held.log)
      }
      return logs
    },
    gapUntil: () => null,
    keptSince: -Infinity,
  })
  const open = (input: InputPartition): ReplayedPartition => {
    const name = inputName(input)
    let partition = partitions.get(name)
    if (partition === undefined) {
      const decoder = decoders.get(input.source)
      if (decoder === undefined) throw new Error(`no decoder for ${input.source}`)
      const memory = new PartitionMemory(plan.features, 1, () => 0)
      const applier = createApplier({
        plan,
        source: sourceOf(plan, input.source),
        memory,
        committedTime: () => memory.maxTime,
        slowestReaderTime: slowest,
        storedBelow: () => 0,
        gapUntil: null,
      })
      partition = { memory, decoder, applier, foreign: foreignOf(name) }
      partitions.set(name, partition)
    }
    return partition
  }

  return {
    next(input, record) {
      const partition = open(input)
      const decoded = partition.decoder.decode(record)
      if (isReject(decoded)) return decoded
      hold(plan, partition, decoded)
      const result = partition.applier.apply(decoded, partition.foreign)
      partition.memory.flushed(0, record.offset + 1)
      return result
    },
  }
}

function hold(plan: Plan, { memory, applier }: ReplayedPartition, event: Event): void {
  for (const layout of applier.fed) {
    const key = plan.features.entityKey(layout, event)
    if (key !== null && memory.find(layout, key) === null) memory.put(layout, key, null)
  }
}
