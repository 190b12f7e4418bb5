import { SmallWorld, type Option, type SmallWorldOptions } from './small-world.ts'

/** A choice that is not the usual one. */
export interface Deviation {
  readonly step: number
  /** Place in the list of options, and its name for the reader. */
  readonly option: number
  readonly name: string
}

export interface Bounds extends SmallWorldOptions {
  /** Things that go wrong in one run, at most. */
  readonly faults: number
  /** Times in one run that something other than the oldest is taken first, at most. */
  readonly delays: number
  readonly runsMax: number
  /** Only these faults; absent: all. */
  readonly only?: RegExp
  readonly msMax?: number
}

export interface Explored {
  /** Schedules that were run, to their end or to a state that was known. */
  readonly runs: number
  readonly steps: number
  readonly states: number
  /** Runs that came to a known state. */
  readonly pruned: number
  /** Whether nothing is left within the bounds. */
  readonly exhausted: boolean
  readonly violation: { readonly what: string; readonly deviations: readonly Deviation[] } | null
  readonly seconds: number
}

/** A deviation behind those of a parent: lists share their beginnings. */
interface Node {
  readonly parent: Node | null
  readonly deviation: Deviation
  readonly faults: number
  readonly delays: number
}

/**
 * Runs every schedule of the small world within the bounds: depth first over the deviations from the usual order, each run from
 * the beginning. A run ends early at a state that another run with the same budget left has been in: that one's deviations
 * from there on are on the list already.
 */
export async function explore(
  bounds: Bounds,
  progress: (so: Explored) => void = () => {},
): Promise<Explored> {
  const startedAt = performance.now()
  const seen = new Set<string>()
  const stack: (Node | null)[] = [null]
  const result = { runs: 0, steps: 0, pruned: 0 }
  let violation: Explored['violation'] = null
  const soFar = (): Explored => ({
    ...result,
    states: seen.size,
    exhausted: stack.length === 0 && violation === null,
    violation,
    seconds: (performance.now() - startedAt) / 1000,
  })
  while (stack.length > 0 && violation === null && result.runs < bounds.runsMax) {
    if (bounds.msMax !== undefined && performance.now() - startedAt > bounds.msMax) break
    const node = stack.pop() ?? null
    const deviations = listOf(node)
    const used = { faults: node?.faults ?? 0, delays: node?.delays ?? 0 }
    const world = new SmallWorld(bounds)
    const { steps, known } = await runOne(world, deviations, (options, step) => {
      const key = `${world.fingerprint()} ${used.faults} ${used.delays}`
      if (seen.has(key)) return false
      seen.add(key)
      for (let option = options.length - 1; option > 0; option--) {
        const { name, faults, delays } = options[option] as Option
        const next = { faults: used.faults + faults, delays: used.delays + delays }
        if (next.faults > bounds.faults || next.delays > bounds.delays) continue
        if (faults > 0 && bounds.only?.test(name) === false) continue
        stack.push({ parent: node, deviation: { step, option, name }, ...next })
      }
      return true
    })
    result.runs++
    result.steps += steps
    if (known) result.pruned++
    if (world.violations.length > 0) violation = { what: world.violations[0] ?? '', deviations }
    if (result.runs % 1_000 === 0) {
      progress(soFar())
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  return soFar()
}

/** One run with these deviations, and its trace. */
export async function replaySchedule(
  options: SmallWorldOptions,
  deviations: readonly Deviation[],
): Promise<{ violations: readonly string[]; trace: string; steps: number }> {
  const world = new SmallWorld(options, 10_000)
  const { steps } = await runOne(world, deviations, () => true, true)
  return { violations: world.violations, trace: world.trace.last(10_000), steps }
}

/** `atNew` is asked at every step behind the deviations whether to go on. */
async function runOne(
  world: SmallWorld,
  deviations: readonly Deviation[],
  atNew: (options: readonly Option[], step: number) => boolean,
  isTraced = false,
): Promise<{ steps: number; known: boolean }> {
  const chosen = new Map(deviations.map((deviation) => [deviation.step, deviation]))
  const last = deviations.at(-1)?.step ?? -1
  for (let step = 0; ; step++) {
    const options = world.options()
    if (options.length === 0) return { steps: step, known: false }
    if (step > last && !atNew(options, step)) return { steps: step, known: true }
    const deviation = chosen.get(step)
    const option = options[deviation?.option ?? 0]
    if (option === undefined) throw new Error(`step ${step} has no option ${deviation?.option}`)
    if (deviation && isTraced) world.trace.add(world.timeline.nowMs, '>>>', `step ${step}:`, option.name)
    await option.act()
  }
}

function listOf(node: Node | null): readonly Deviation[] {
  const list: Deviation[] = []
  for (let at = node; at !== null; at = at.parent) list.push(at.deviation)
  return list.toReversed()
}
