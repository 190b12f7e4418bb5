import { expect, onTestFinished, test } from 'vitest'
import { parseMetadata } from '../../../src/pipeline/metadata.ts'
import type { Plan } from '../../../src/topology/plan.ts'
import { checkExactlyOnce, readOutputs, type Outputs } from '../../support/exactly-once.ts'
import { problemsOf, summary } from '../../support/judge.ts'
import type { ServiceProcess } from '../../support/service-process.ts'
import { CardTraffic } from '../../support/service-records.ts'
import type { Written } from '../../support/service-topology.ts'
import { openWorld, type ServiceWorld } from '../../support/service-world.ts'
import { WarmProcess } from '../../support/warm-process.ts'

/** Longer windows: events that the old state has forgotten. */
const longer: Written = {
  features: { 'customer_count_{window}': { window: ['10m', '1h', '5h'] } },
}
function warmer(world: ServiceWorld, ...args: string[]): WarmProcess {
  const started = new WarmProcess(world.file, args)
  onTestFinished(() => started.kill())
  return started
}

/** How many records each takeover of the process read again, and how many partitions it rebuilt. */
function recoveries(service: ServiceProcess): { readonly reapplied: number[]; readonly rebuilt: number } {
  const reapplied: number[] = []
  let rebuilt = 0
  for (const { status, detail = '' } of service.lines) {
    if (status !== 'replaying') continue
    const [, what, from, to] = /^(\S+) offsets (\d+) to (\d+)/.exec(detail) ?? []
    if (what === 'rebuilding') rebuilt++
    else reapplied.push(Number(to) - Number(from))
  }
  return { reapplied, rebuilt }
}

test('a changed definition is warmed while the old one serves: its first owners re-apply only a short tail', async () => {
  const world = await openWorld({ partitions: 2 })
  const traffic = new CardTraffic({ seed: 31, partitions: 2, customers: 40 })
  const old = world.start()
  await world.write(traffic.next(3_000))
  await world.committed(2_000)
  await world.retopology(longer)
  const warming = warmer(world, '--within', '200')
  await world.write(traffic.next(2_000))
  expect(await warming.exited).toBe(0)
  expect(warming.lines.at(-1)).toMatchObject({ msg: 'warm', warm: 2, partitions: 2 })
  const stored = await world.watermarks()
  expect(stored.size).toBe(2)
  // Nobody has noticed: the old definition serves on.
  await world.caughtUp()
  expect(await old.stop()).toEqual({ code: 0, signal: null })
  const positions = await world.positions()
  for (const { metadata } of positions) {
    expect(parseMetadata(metadata)?.stateHash).not.toBe(world.plan.stateHash)
  }

  const renewed = world.start()
  await renewed.serving(2)
  const { reapplied, rebuilt } = recoveries(renewed)
  expect(rebuilt).toBe(0)
  const tail = positions.reduce((sum, { topic, partition, offset }) => {
    return sum + offset - (stored.get(`${topic}:${partition}`) ?? 0)
  }, 0)
  expect(reapplied.reduce((sum, records) => sum + records, 0)).toBe(tail)
  await world.write(traffic.next(1_000))
  await world.caughtUp()
  await checkExactlyOnce(world, {
    otherFeatures: ({ partition, offset }) =>
      offset < (positions.find((one) => one.partition === partition)?.offset ?? 0),
  })
})

/** Replaces the running processes one by one with new ones of the world's present topology, under traffic. */
async function replaceAll(world: ServiceWorld, traffic: CardTraffic): Promise<ServiceProcess[]> {
  const renewed: ServiceProcess[] = []
  for (const old of world.processes.filter(({ exit }) => exit === null)) {
    const next = world.start()
    renewed.push(next)
    await next.line(({ msg }) => msg === 'joined the group', 'it has joined')
    await world.write(traffic.next(1_000))
    await next.serving(1)
    expect(await old.stop()).toEqual({ code: 0, signal: null })
    await world.write(traffic.next(1_000))
  }
  await world.caughtUp()
  return renewed
}

/** Every prediction has the features of one definition or the other, exactly. Returns all, and how many are of the new one. */
async function checkBoth(
  world: ServiceWorld,
  plans: { readonly old: Plan; readonly renewed: Plan },
  addedFeature: string,
): Promise<{ readonly outputs: Outputs; readonly renewed: number }> {
  const outputs = await readOutputs(world)
  const evidence = { input: world.input, positions: await world.positions(), outputs }
  const name = ({ topic, partition, offset }: Position): string => `${topic}:${partition}:${offset}`
  const byRenewed = new Set(
    outputs.predictions
      .filter(({ value }) => Object.hasOwn(value.features ?? {}, addedFeature))
      .map(({ value }) => name(value.position)),
  )
  const problems = [
    ...problemsOf({ plan: plans.renewed, ...evidence }, { otherFeatures: (at) => !byRenewed.has(name(at)) }),
    ...problemsOf({ plan: plans.old, ...evidence }, { otherFeatures: (at) => byRenewed.has(name(at)) }),
  ]
  expect(summary(problems)).toEqual([])
  return { outputs, renewed: byRenewed.size }
}

type Position = Outputs['predictions'][number]['value']['position']

test('processes are replaced one after the other while a warmer follows: no takeover rebuilds, and every prediction is exact by the definition that made it', async () => {
  const world = await openWorld({ partitions: 4 })
  const traffic = new CardTraffic({ seed: 32, partitions: 4, customers: 80 })
  world.start()
  world.start()
  await world.write(traffic.next(3_000))
  await world.committed(2_000)
  const old = world.plan
  await world.retopology(longer)
  const warming = warmer(world, '--within', '500', '--follow')
  await warming.until(({ msg }) => msg === 'warm')
  const processes = await replaceAll(world, traffic)
  warming.stop()
  expect(await warming.exited).toBe(0)

  for (const one of processes) expect(recoveries(one).rebuilt).toBe(0)
  const { outputs, renewed } = await checkBoth(world, { old, renewed: world.plan }, 'customer_count_5h')
  expect(renewed).toBeGreaterThan(1_000)
  expect(renewed).toBeLessThan(outputs.predictions.length - 1_000)
})

test('with merged features and a warmer for each definition, no event waits in vain for a partition that the other side serves', async () => {
  const world = await openWorld({ partitions: 2, labels: true })
  const traffic = new CardTraffic({ seed: 34, partitions: 2, labels: true, stepMs: 120_000 })
  world.start()
  world.start()
  await world.write(traffic.next(3_000))
  await world.caughtUp()
  const old = world.plan
  const warmers = [warmer(world, '--follow')]
  await warmers[0]?.until(({ msg }) => msg === 'warm')
  await world.retopology({ features: { 'terminal_count_{window}': { window: ['1d', '7d', '3d'] } } })
  warmers.push(warmer(world, '--follow'))
  await warmers[1]?.until(({ msg }) => msg === 'warm')
  await replaceAll(world, traffic)
  for (const one of warmers) {
    one.stop()
    expect(await one.exited).toBe(0)
  }

  const { outputs, renewed } = await checkBoth(world, { old, renewed: world.plan }, 'terminal_count_3d')
  expect(renewed).toBeGreaterThan(500)
  const unaligned = outputs.predictions.filter(({ value }) => value.flags.includes('unaligned'))
  expect(unaligned.map(({ value }) => value.position)).toEqual([])
})

test('where the new definition is served already, a warmer keeps out of the way, also before its owners have committed anything', async () => {
  const world = await openWorld({ partitions: 2 })
  await world.write(new CardTraffic({ seed: 33, partitions: 2 }).next(500))
  const old = world.start()
  await world.caughtUp()
  const disturbed = (service: ServiceProcess): boolean =>
    service.lines.some(({ msg }) => msg.startsWith('Redis is not as'))
  expect(await warmer(world).exited).toBe(0)
  expect(disturbed(old)).toBe(false)
  await old.stop()

  await world.retopology(longer)
  const idle = world.start()
  await idle.serving(2)
  await world.flushed()
  expect(await warmer(world).exited).toBe(0)
  expect(disturbed(idle)).toBe(false)
  const hashes = (await world.positions()).map(({ metadata }) => parseMetadata(metadata)?.stateHash)
  expect(hashes).not.toContain(world.plan.stateHash)
})
