import { createFeatureReplay } from '../../src/pipeline/replay-features.ts'
import type { AppliedRow } from '../../src/pipeline/apply.ts'
import type { Plan } from '../../src/topology/plan.ts'
import type { LoggedRecord } from './log.ts'
import { decoder } from './process.ts'
import type { DrawnTopology } from './topology.ts'

/** Rows of `millrace replay` over the whole logs, by position; null: a reject. */
export function runReplay(
  topology: DrawnTopology,
  plan: Plan,
  log: readonly LoggedRecord[],
): ReadonlyMap<string, AppliedRow | null> {
  const counts = new Map(topology.sources.map(({ name, partitions }) => [name, partitions]))
  const decoders = new Map(topology.sources.map(({ name }) => [name, decoder]))
  const replay = createFeatureReplay(plan, counts, decoders)
  const rows = new Map<string, AppliedRow | null>()
  for (const { source, raw } of inReplayOrder(log)) {
    const { topic, partition, offset } = raw
    const result = replay.next({ source, topic, partition }, raw)
    if (result !== null) rows.set(`${topic}:${partition}:${offset}`, 'rejected' in result ? null : result)
  }
  return rows
}

/** As src/service/replay.ts merges partitions. */
function inReplayOrder(log: readonly LoggedRecord[]): readonly LoggedRecord[] {
  const queues = [...Map.groupBy(log, ({ input }) => input).values()].map((queue) => [...queue])
  const ordered: LoggedRecord[] = []
  for (;;) {
    let first: LoggedRecord[] | null = null
    for (const queue of queues) {
      if (queue.length === 0) continue
      if (first === null || queue[0]!.raw.timestamp < first[0]!.raw.timestamp) first = queue
    }
    if (first === null) return ordered
    ordered.push(first.shift()!)
  }
}
