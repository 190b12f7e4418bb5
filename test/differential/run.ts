import { SeededDice, seedOf } from '../simulation/dice.ts'
import { Trace } from '../simulation/trace.ts'
import type { Case } from './cases.ts'
import { compare } from './compare.ts'
import { drawFeed, onlyThese } from './feed.ts'
import { drawStops, runLive } from './live.ts'
import { planOf } from './plan.ts'
import { runReplay } from './replay.ts'
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

/** One log, computed three times: by the service, by `millrace replay`, and by the definition. */
export async function differential(which: Case, keep = 0): Promise<Result> {
  const { stackTraceLimit } = Error
  // Many errors are made that nobody reads.
  if (keep === 0) Error.stackTraceLimit = 0
  try {
    return await runThrice(which, keep)
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

async function runThrice(which: Case, keep: number): Promise<Result> {
  const { seed, size = sizeUsual } = which
  const dice = (purpose: string): SeededDice => new SeededDice(seedOf(seed, purpose))
  const drawn = drawTopology(dice('topology'))
  const topology = withOnly(drawn, which.features)
  const plan = planOf(topology)
  const uploads = onlyThese(drawFeed(dice('feed'), drawn, size), which.events)
  const stops = which.stops ?? drawStops(seed, Math.max(...uploads.map(({ atMs }) => atMs)))
  const trace = new Trace(keep)
  const live = await runLive({ topology, plan, uploads, stops, seed, trace })
  const base = {
    topology,
    events: uploads.map(({ id }) => id),
    features: topology.spec.features.map(({ name }) => name),
    stops,
    trace,
    steps: live.steps,
  }
  if (live.problems.length > 0) return { ...base, problems: live.problems, counts: new Map() }
  const replayed = runReplay(topology, plan, live.log)
  const { problems, counts } = compare({ topology, plan, log: live.log, live: live.outcomes, replayed })
  return { ...base, problems, counts }
}
