import { replayFeatures, type ReplayLog } from '../../src/pipeline/replay-features.ts'
import type { InputPartition } from '../../src/record/input.ts'
import type { Plan } from '../../src/topology/plan.ts'
import type { ReplayedRow } from './compare.ts'
import type { DecodedRecord, LoggedRecord } from './log.ts'
import { decoder } from './process.ts'
import type { DrawnTopology } from './topology.ts'

/** Few, so that a log is read in several steps. */
const recordsPerRead = 7

/** What `millrace replay` makes of the whole logs, by position; null: a dead letter. */
export async function runReplay(
  { sources, spec }: DrawnTopology,
  plan: Plan,
  log: readonly LoggedRecord[],
): Promise<ReadonlyMap<string, ReplayedRow | null>> {
  const records = Map.groupBy(log, ({ input }) => input)
  const logs = sources.flatMap(({ name, partitions }) =>
    Array.from({ length: partitions }, (_, partition) => {
      const held = records.get(`${name}:${partition}`) ?? []
      return logOf(
        { source: name, topic: name, partition },
        held.map(({ raw }) => raw),
      )
    }),
  )
  const decoders = new Map(sources.map(({ name }) => [name, decoder]))
  const rows = new Map<string, ReplayedRow | null>()
  for await (const result of replayFeatures({ plan, decoders, logs }, AbortSignal.any([]))) {
    const isDead = 'rejected' in result
    const { topic, partition, offset } = isDead ? result.raw : result.event.raw
    const row = isDead ? null : { numbers: result.row.numbers, flags: result.flags }
    if (topic === spec.scored) rows.set(`${topic}:${partition}:${offset}`, row)
  }
  return rows
}

function logOf(input: InputPartition, records: readonly DecodedRecord[]): ReplayLog {
  let at = 0
  return {
    input,
    read: () => {
      const some = records.slice(at, at + recordsPerRead)
      at += some.length
      return Promise.resolve(some)
    },
    rewind: () => {
      at = 0
    },
  }
}
