import type { Random } from '../../src/simulator/random.ts'
import { now, pause } from './acts.ts'
import type { FaultWorld } from './fault-world.ts'
import { inWorld, roundRandom, type RoundResult, type RunOptions, type ScenarioRun } from './rounds.ts'
import { stackName, type Injected, type Scenario, type StackKind } from './scenario.ts'
import { labelled, smallCache } from './scenarios/settings.ts'
import type { FaultStack } from './stack.ts'

/** The world that a random mix of faults happens to: with labels and merged features. */
export function mixScenario(stack: StackKind): Scenario {
  return {
    name: stack.nodes === 1 ? 'mix' : 'mix-three-brokers',
    group: 'mix',
    summary: 'faults drawn at random, one after another and on top of each other',
    covers: [],
    stack,
    processes: 3,
    topology: smallCache,
    ...labelled,
    inject: () => Promise.reject(new Error('a mix is played by runMix')),
  }
}

/** Draws composable faults for `minutes`; only the end is judged, as faults meet each other's recovery. */
export function runMix(
  stack: FaultStack,
  scenarios: readonly Scenario[],
  minutes: number,
  options: RunOptions,
): Promise<ScenarioRun> {
  const mixable = scenarios.filter((one) => one.mixes && stackName(one.stack) === stackName(stack.kind))
  const scenario = mixScenario(stack.kind)
  return inWorld(stack, scenario, options, async (world) => {
    const until = now() + minutes * 60_000
    const rounds: RoundResult[] = []
    for (let step = 1; now() < until; step++) {
      const random = roundRandom('mix', options.seed, step)
      const done = await playStep(world, mixable, random, step)
      options.say(`step ${step}: ${done.map(({ what }) => what).join('; and ')}`)
      rounds.push(...done)
      if (world.violations.length > 0) break
    }
    return rounds
  })
}

async function playStep(
  world: FaultWorld,
  mixable: readonly Scenario[],
  random: Random,
  step: number,
): Promise<RoundResult[]> {
  const count = 1 + random.below(3)
  const done: RoundResult[] = []
  const heals: NonNullable<Injected['heal']>[] = []
  try {
    for (let i = 0; i < count; i++) {
      const drawn = mixable[random.below(mixable.length)] as Scenario
      const { what, heal } = await drawn.inject(world, random, step)
      done.push({ what, firstMs: null, allMs: null, lagMs: null })
      if (heal) heals.push(heal)
      await pause(random.below(3_000))
    }
    for (let heal = heals.shift(); heal !== undefined; heal = heals.shift()) await heal()
    await world.refill()
    // Half of the time the next faults meet what is left of these.
    if (random.next() < 0.5) await world.steady()
  } catch (error) {
    world.violations.push(`step ${step}: ${error instanceof Error ? error.message : String(error)}`)
    for (const heal of heals) await heal().catch(() => undefined) // the verdict needs processes that are awake
  }
  return done
}
