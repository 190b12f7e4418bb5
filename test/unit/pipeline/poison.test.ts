import { describe, expect, test, vi } from 'vitest'
import { aloneLostMax, convictedInARowMax, slicesLostMax } from '../../../src/pipeline/attempt.ts'
import type { Plan } from '../../../src/topology/plan.ts'
import { PoisonWorld, type Deed } from './poison-world.ts'

vi.setConfig({ testTimeout: 30_000 }) // dozens of processes each

/** Two before it is in the first slice of an owner: as many slices are under way at once. */
const lossesPerKiller = 2 + slicesLostMax + aloneLostMax

/** `partition:offset what`, one for every output, in order. */
function outcomes(world: PoisonWorld): string[] {
  return world.committed
    .map(({ partition, offset, what }) => `${partition}:${offset} ${what}`)
    .toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true }))
}

/** What must come of logs of these lengths: predictions, but for these. */
function expected(lengths: readonly number[], killers: ReadonlySet<string>): string[] {
  return lengths.flatMap((length, partition) =>
    Array.from({ length }, (_, offset) => {
      const place = `${partition}:${offset}`
      return `${place} ${killers.has(place) ? 'POISON' : 'prediction'}`
    }),
  )
}

async function worldOf(
  lengths: readonly number[],
  killers: Readonly<Record<string, Deed>>,
  limits: Partial<Plan['limits']> = {},
): Promise<PoisonWorld> {
  const world = await PoisonWorld.open(lengths.length, { rowsPerTransactionMax: 8, ...limits })
  for (const [partition, length] of lengths.entries()) {
    for (let offset = 0; offset < length; offset++) world.append(partition, killers[`${partition}:${offset}`])
  }
  return world
}

describe('a record that kills the process', () => {
  test.each(['dies in score', 'dies in decode', 'hangs in score'] as const)(
    'and %s is quarantined after a bounded number of restarts; all others are predicted, once',
    async (deed) => {
      const world = await worldOf([40, 40, 40], { '1:21': deed })
      await world.run(lossesPerKiller + 1)
      expect(outcomes(world)).toEqual(expected([40, 40, 40], new Set(['1:21'])))
      expect(world.deaths).toBeLessThanOrEqual(lossesPerKiller)
      expect(world.metadata(1)?.quarantine).toEqual([21])
      expect(world.metadata(0)?.quarantine).toEqual([])
      const letter = world.committed.find(({ what }) => what === 'POISON')?.reject
      expect(letter).toMatchObject({ attempts: slicesLostMax + aloneLostMax, stage: 'model' })
    },
  )

  test('frames nobody, with killers in several partitions of one process', async () => {
    const killers = { '0:0': 'dies in score', '0:30': 'dies in decode', '1:13': 'dies in score', '2:39': 'dies in score' } as const // prettier-ignore
    const world = await worldOf([40, 40, 40], killers)
    await world.run(4 * lossesPerKiller + 1)
    expect(outcomes(world)).toEqual(expected([40, 40, 40], new Set(Object.keys(killers))))
  })

  test('frames nobody who waits for his turn while the process is on its way out', async () => {
    const world = await worldOf([40, 40, 40], { '0:21': 'hangs in score', '2:3': 'hangs in score' })
    await world.run(2 * lossesPerKiller + 1)
    expect(outcomes(world)).toEqual(expected([40, 40, 40], new Set(['0:21', '2:3'])))
  })

  test('leaves no note behind once it is passed', async () => {
    const world = await worldOf([20], { '0:5': 'dies in score' })
    await world.run(lossesPerKiller + 1)
    expect(world.metadata(0)).toMatchObject({ offset: 20, quarantine: [5] })
    expect(world.metadata(0)?.attempt ?? null).toBeNull()
  })
})

test('processes that are killed from outside again and again convict no record', async () => {
  const world = await worldOf([300], {})
  // At any transaction, but not twice in a row while the first record runs alone (four transactions).
  await world.run(120, [1, 2, 5, 3, 2, 6, 1, 9, 2, 14])
  expect(world.deaths).toBeGreaterThan(6)
  await world.run(1)
  expect(outcomes(world)).toEqual(expected([300], new Set()))
})

test.each(['stops in score', 'stops in commit'] as const)(
  'a process that stops with an error (%s) at the same record again and again suspects nobody',
  async (deed) => {
    const world = await worldOf([20, 20], { '0:5': deed })
    for (let start = 0; start < lossesPerKiller + 1; start++) {
      await world.run(1)
      expect(world.stopped).toMatchObject({ code: expect.stringMatching(/SHARE|LARGE/) as string })
      expect(world.metadata(0)?.attempt ?? null).toBeNull()
    }
    expect(world.misuses).toBe(0)
    world.repair()
    await world.run(1)
    expect(outcomes(world)).toEqual(expected([20, 20], new Set()))
  },
)

test('transactions that fail again and again suspect nobody, as long as the process lives', async () => {
  const world = await worldOf([20], {})
  world.failures = lossesPerKiller + 1
  await world.run(1)
  expect([world.failures, world.deaths]).toEqual([0, 0])
  expect(outcomes(world)).toEqual(expected([20], new Set()))
  expect(world.notes.every(({ tries, alone }) => tries === 1 && !alone)).toBe(true)
})

test('a process that is aborted while it waits takes its note back', async () => {
  const world = await worldOf([20], { '0:5': 'waits in score' })
  for (let start = 0; start < lossesPerKiller + 1; start++) {
    await world.interrupt()
    expect(world.metadata(0)).toMatchObject({ offset: 0 })
    expect(world.metadata(0)?.attempt ?? null).toBeNull()
  }
  world.repair()
  await world.run(1)
  expect(outcomes(world)).toEqual(expected([20], new Set()))
})

test('when everything kills, the service stops with a clear error instead of emptying the topic, and goes on once that is mended', async () => {
  const all = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`0:${i}`, 'dies in score'] as const))
  const world = await worldOf([40], all)
  await world.run(100)
  expect(world.stopped).toMatchObject({ code: 'POISON_LIMIT' })
  const poisoned = new Set(Array.from({ length: convictedInARowMax }, (_, i) => `0:${i}`))
  expect(outcomes(world)).toEqual(expected([convictedInARowMax], poisoned))

  // The same again: two more deaths, no conviction, and the same error.
  const { deaths } = world
  await world.run(100)
  expect(world.stopped).toMatchObject({ code: 'POISON_LIMIT' })
  expect([world.deaths - deaths, world.committed.length]).toEqual([aloneLostMax, convictedInARowMax])

  world.repair()
  await world.run(1)
  expect(world.stopped).toBeNull()
  expect(outcomes(world)).toEqual(expected([40], poisoned))
})

test('what was quarantined is not applied either: windows are as if it had never been', async () => {
  const [poisoned, clean] = [await worldOf([40], { '0:9': 'dies in score' }), await worldOf([40], {})]
  await poisoned.run(lossesPerKiller + 1)
  await clean.run(1)
  expect(poisoned.metadata(0)?.maxTime).toBe(clean.metadata(0)?.maxTime)
  const other = await worldOf([10], { '0:9': 'dies in score' })
  await other.run(lossesPerKiller + 1)
  expect(other.metadata(0)?.maxTime).toBe(1e12 + 8) // not that of the last record
})

test('a topic of which nothing can be read is not emptied by owners that come and go', async () => {
  const all = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`0:${i}`, 'is no event'] as const))
  const world = await worldOf([200], all, { deadLetterShareMax: { share: 0.2, of: 50 } })
  // Killed after its note and two slices of 8: no owner sees 50 records.
  await world.run(30, [3])
  expect(world.stopped).toMatchObject({ code: 'DEAD_LETTER_SHARE' })
  expect(world.committed.length).toBeLessThan(50)

  // And not by starting it again.
  const { length } = world.committed
  await world.run(1)
  expect(world.stopped).toMatchObject({ code: 'DEAD_LETTER_SHARE' })
  expect(world.committed.length).toBe(length)
})
