import { expect, inject, onTestFailed, onTestFinished, test } from 'vitest'
import { compare } from '../../differential/compare.ts'
import { drawFeed, type Upload } from '../../differential/feed.ts'
import { ServerWorld } from '../../differential/servers.ts'
import { drawTopology } from '../../differential/topology.ts'
import { withReadSources } from '../../differential/written.ts'
import { SeededDice, seedOf } from '../../simulation/dice.ts'
import { brokers, redisUrl, uniqueName } from '../../support/servers.ts'

/** Chosen for what they have: labels of unmerged entities, delays beside none, unequal partitions, labels just in time. */
const seeds = [63, 184]
const sizeMax = 120

test.each(seeds)(
  'live, replay and definition give the same features, on real servers with a crash (seed %i)',
  async (seed) => {
    const topology = withReadSources({ ...drawTopology(diceOf(seed, 'topology')), alignMs: 20_000 })
    const world = new ServerWorld(topology, {
      name: uniqueName('differential'),
      brokers: brokers(),
      redisUrl: redisUrl(),
      sessionTimeout: inject('servers').sessionTimeoutMin,
    })
    onTestFinished(() => world.close())
    onTestFailed(() => {
      for (const one of world.processes) process.stderr.write(`${one.tail(40)}\n`)
    })
    await world.open()
    const names = new Set(topology.sources.map(({ name }) => name))
    const uploads = drawFeed(diceOf(seed, 'feed'), topology, sizeMax)
      .filter(({ source }) => names.has(source))
      .map(fitForSchema)
    const half = Math.ceil(uploads.length / 2)
    await world.write(uploads.slice(0, half))
    const first = world.start()
    world.start()
    await world.write(uploads.slice(half, half + 10))
    await first.until(() => (first.owned().length > 0 ? true : null), 'the first process serves')
    await world.write(uploads.slice(half + 10, -10))
    await first.kill()
    await world.write(uploads.slice(-10))
    await world.caughtUp()
    const { problems, counts } = compare({
      topology,
      plan: world.plan,
      log: world.log,
      live: await world.published(),
      replayed: await world.replayed(),
    })
    expect(problems).toEqual([])
    expect(counts.get('live numbers')).toBeGreaterThan(100)
    expect(counts.get('replayed numbers')).toBeGreaterThan(100)
  },
)

function diceOf(seed: number, purpose: string): SeededDice {
  return new SeededDice(seedOf(seed, purpose))
}

/** What is missing in the drawn records is not allowed by the schema; no event is younger than its record. */
function fitForSchema(upload: Upload): Upload {
  const { fields, time, timestamp } = upload
  const whole = { ...fields, terminal: fields['terminal'] ?? 't9', amount: fields['amount'] ?? 0 }
  return { ...upload, fields: whole, timestamp: Math.max(time, timestamp) }
}
