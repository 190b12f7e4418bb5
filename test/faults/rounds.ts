import { createRandom, type Random } from '../../src/simulator/random.ts'
import { systemClock } from '../../src/time/system-clock.ts'
import { FaultWorld, waitMaxMs } from './fault-world.ts'
import type { Injected, Scenario } from './scenario.ts'
import type { FaultStack } from './stack.ts'
import { judge, type Verdict } from './verdict.ts'

export interface RoundResult {
  readonly what: string
  /** From the fault to the first commit on an affected partition; null: the round failed. */
  readonly firstMs: number | null
  /** To the first commit on the last of them. */
  readonly allMs: number | null
  /** From the fault until the lag was what it was before, and what the fault broke was whole again. */
  readonly lagMs: number | null
  /** Times that a process joined the group again, which stops partitions. Older results lack it. */
  readonly joins?: number
}

export interface ScenarioRun {
  readonly rounds: readonly RoundResult[]
  readonly verdict: Verdict
  readonly durationMs: number
}

/** Commits in this time after a fault may have been under way, and do not count as recovery. */
export const settleMs = 100

/** A stream for each round, so that a round does the same in a run of fewer. */
export function roundRandom(scenario: string, seed: number, round: number): Random {
  let mixed = seed
  for (const letter of `${scenario}/${round}`) mixed = (Math.imul(mixed, 31) + letter.charCodeAt(0)) | 0
  return createRandom(mixed)
}

export interface RunOptions {
  readonly seed: number
  readonly say: (line: string) => void
  /** Called before the world goes; `isWrong`: a violation was seen, or the run failed. */
  readonly keepLogs: (world: FaultWorld, isWrong: boolean) => void
}

/** Opens a world for the scenario, does its rounds, and judges. */
export function runScenario(
  stack: FaultStack,
  scenario: Scenario,
  rounds: number,
  options: RunOptions,
): Promise<ScenarioRun> {
  const { seed, say } = options
  return inWorld(stack, scenario, options, async (world) => {
    const results: RoundResult[] = []
    await scenario.prepare?.(world, roundRandom(scenario.name, seed, 0))
    for (let round = 1; round <= rounds; round++) {
      const result = await playRound(world, roundRandom(scenario.name, seed, round), round)
      results.push(result)
      const { what, firstMs, allMs, lagMs } = result
      say(
        `round ${round}/${rounds}: ${what}; first ${text(firstMs)}, all ${text(allMs)}, whole ${text(lagMs)}`,
      )
      if (firstMs === null) break
    }
    return results
  })
}

/** Opens a world, plays, and judges what is left. */
export async function inWorld(
  stack: FaultStack,
  scenario: Scenario,
  { seed, keepLogs }: RunOptions,
  play: (world: FaultWorld) => Promise<readonly RoundResult[]>,
): Promise<ScenarioRun> {
  const startedAt = systemClock.monotonic()
  const world = await FaultWorld.open(stack, scenario, seed)
  try {
    const rounds = await play(world)
    const verdict = await judge(world)
    keepLogs(world, verdict.violations.length > 0)
    return { rounds, verdict, durationMs: systemClock.monotonic() - startedAt }
  } catch (error) {
    keepLogs(world, true)
    throw error
  } finally {
    await world.close()
  }
}

function text(ms: number | null): string {
  return ms === null ? 'never' : `${Math.round(ms)} ms`
}

/** Says that the harness failed, not the service. */
export const notInjected = 'the fault could not be injected'

/** Injects, measures, heals, and waits until all is well again. */
export async function playRound(world: FaultWorld, random: Random, round: number): Promise<RoundResult> {
  const lagBefore = Math.max(world.meter.lag, world.normalLag)
  let injected: Injected | null = null
  const before = joins(world)
  try {
    injected = await world.scenario.inject(world, random, round)
    const recovered = await recovery(world, injected, lagBefore)
    await injected.heal?.()
    await world.refill()
    await world.steady()
    return { what: injected.what, ...recovered, joins: joins(world) - before }
  } catch (error) {
    await injected?.heal?.().catch(() => undefined) // the verdict needs processes that are awake
    const what = injected?.what ?? notInjected
    world.violations.push(
      `round ${round} (${what}): ${error instanceof Error ? error.message : String(error)}`,
    )
    return { what, firstMs: null, allMs: null, lagMs: null }
  }
}

function joins({ card }: FaultWorld): number {
  return card.processes.reduce(
    (sum, { lines }) => sum + lines.filter(({ msg }) => msg === 'joined the group').length,
    0,
  )
}

async function recovery(
  world: FaultWorld,
  { at, affected = world.partitions, mended }: Injected,
  lagBefore: number,
): Promise<{ firstMs: number; allMs: number; lagMs: number }> {
  const { meter, topic } = world
  const places = affected.map((partition) => `${topic}:${partition}`)
  const look = (): { first: number | null; all: number | null; back: number | null } => {
    const moved = places
      .map((place) => meter.reachedAt(place, meter.offsetAt(place, at + settleMs) + 1))
      .filter((time) => time !== null)
    const all = moved.length === places.length ? Math.max(...moved) : null
    return {
      first: moved.length > 0 ? Math.min(...moved) : null,
      all,
      back: all === null ? null : meter.lagBelowAt(lagBefore, all),
    }
  }
  const giveUpAt = systemClock.monotonic() + waitMaxMs
  for (;;) {
    const { first, all, back } = meter.lookedAt < at + settleMs ? nothingYet : look()
    if (first !== null && all !== null && back !== null && (mended === undefined || (await mended())))
      return { firstMs: first - at, allMs: all - at, lagMs: (mended ? systemClock.monotonic() : back) - at }
    if (systemClock.monotonic() > giveUpAt)
      throw new Error(
        `I8: ${all === null ? 'a partition stands still' : 'the lag is not back'} after ${waitMaxMs / 1000} s`,
      )
    await world.noteEnds()
    await meter.next()
  }
}

const nothingYet = { first: null, all: null, back: null }
