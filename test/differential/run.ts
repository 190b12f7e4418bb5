import { SeededDice, seedOf } from '../simulation/dice.ts'
import { Trace } from '../simulation/trace.ts'
import type { Case } from './cases.ts'
import { compare } from './compare.ts'
import { drawFeed, onlyThese } from './feed.ts'
import { drawStops, runLive } from './live.ts'
import { planOf } from './plan.ts'
import { runReplay } from './replay.ts'
import type { Sabotage } from './sabotage.ts'
import { drawTopology, withOnly, type DrawnTopology } from './topology.ts'

export interface Result {
  readonly problems: readonly string[]
  readonly counts: ReadonlyMap<string, number>
  readonly topology: DrawnTopology
  /** What the case was made of, to leave some of it out. */
  readonly events: readonly string[]
  readonly features: readonly string[]
  readonly stops: readonly string[]
  readonly trace: Trace
  readonly steps: number
}

const sizeUsual = 30

export interface RunOptions {
  /** Lines of what happened to keep. */
  readonly keep?: number
  readonly sabotage?: Sabotage
}

/** One log, computed three times: by the service, by `millrace replay`, and by the definition. */
export async function differential(which: Case, options: RunOptions = {}): Promise<Result> {
  const { stackTraceLimit } = Error
  // Many errors are made that nobody reads.
  if ((options.keep ?? 0) === 0) Error.stackTraceLimit = 0
  try {
    return await runThrice(which, options)
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

async function runThrice(which: Case, { keep = 0, sabotage = {} }: RunOptions): Promise<Result> {
  const { seed, size = sizeUsual } = which
  const dice = (purpose: string): SeededDice => new SeededDice(seedOf(seed, purpose))
  const drawn = drawTopology(dice('topology'))
  const topology = withOnly(drawn, which.features)
  const honest = planOf(topology)
  const plan = sabotage.plan?.(honest) ?? honest
  const uploads = onlyThese(drawFeed(dice('feed'), drawn, size), which.events)
  const stops = which.stops ?? drawStops(seed, Math.max(...uploads.map(({ atMs }) => atMs)))
  const trace = new Trace(keep)
  const live = await runLive({ topology, plan, uploads, stops, seed, trace, sabotage })
  const base = {
    topology,
    events: uploads.map(({ id }) => id),
    features: topology.spec.features.map(({ name }) => name),
    stops,
    trace,
    steps: live.steps,
  }
  if (live.problems.length > 0) return { ...base, problems: live.problems, counts: new Map() }
  const replayed = await runReplay(topology, plan, live.log)
  const { problems, counts } = compare({ topology, plan, log: live.log, live: live.outcomes, replayed })
  return { ...base, problems, counts }
}
