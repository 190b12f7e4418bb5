import { replayCommand, type Case } from './cases.ts'
import { differential, type Result } from './run.ts'
import { shrink } from './shrink.ts'

/** A red run made as small as it gets while it stays red: what differs, what happens in it, and how to see it again. */
export async function reportOf(which: Case): Promise<string> {
  const smaller = await shrink(which)
  return describeRun(smaller, await differential(smaller, { keep: 100_000 }))
}

export function describeRun(which: Case, { topology, problems, trace, events, stops }: Result): string {
  const { spec, ...rest } = topology
  return [
    trace.last(100_000),
    JSON.stringify(rest),
    ...spec.features.map((feature) => JSON.stringify(feature)),
    `${events.length} events, stops: ${stops.join(', ') || 'none'}`,
    ...(problems.length === 0 ? ['green'] : problems.slice(0, 20)),
    `show it again with: ${replayCommand(which)}`,
  ].join('\n')
}
