import { replayCommand, type Case } from './cases.ts'
import { shrink } from './shrink.ts'
import { simulate, type RunResult } from './world.ts'

/** A red run made as small as it gets while it stays red: what it breaks, what happens in it, and how to see it again. */
export async function reportOf(which: Case): Promise<string> {
  let tried = 0
  const smaller = await shrink(which, { done: (runs) => (tried = runs) })
  const result = await simulate({ ...smaller, keep: 100_000 })
  const heading = `seed ${which.seed}, depth ${which.depth}, made smaller in ${tried} runs:`
  return [heading, describeRun(smaller, result)].join('\n')
}

export function describeRun(which: Case, { violations, trace, faults, events }: RunResult): string {
  return [
    trace.last(100_000),
    `${events.length} events, ${faults.length} faults${faults.map((fault) => `\n  ${fault}`).join('')}`,
    violations[0] ?? 'green',
    `replay with: ${replayCommand(which)}`,
  ].join('\n')
}
