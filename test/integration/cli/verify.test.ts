import { expect, test } from 'vitest'
import type { Prediction } from '../../../src/record/prediction.ts'
import type { VerifyReport } from '../../../src/service/verify/tally.ts'
import { millrace } from '../../support/command-line.ts'
import { readOutputs } from '../../support/outputs.ts'
import { CardTraffic } from '../../support/service-records.ts'
import { openWorld, type ServiceWorld } from '../../support/service-world.ts'

async function verified(
  world: ServiceWorld,
  ...args: string[]
): Promise<{ code: number | null; report: VerifyReport }> {
  const { code, stdout, stderr } = await millrace('verify', '--topology', world.file, '--json', ...args)
  if (code !== 0 && code !== 1) throw new Error(stderr)
  return { code, report: JSON.parse(stdout) as VerifyReport }
}

/** Writes predictions as the service would, which it never did. */
async function forge(world: ServiceWorld, predictions: readonly Prediction[]): Promise<void> {
  const messages = predictions.map((one) => ({
    key: one.key,
    value: JSON.stringify(one),
    partition: one.position.partition,
  }))
  await world.producer.send({ topic: world.topics.predictions, messages })
}

function placeOf({ position: { topic, partition, offset } }: Prediction): string {
  return `${topic}:${partition}@${offset}`
}

function placesOf(...predictions: readonly Prediction[]): { count: number; examples: string[] } {
  const examples = predictions.map(placeOf)
  return { count: examples.length, examples: expect.arrayContaining(examples) as string[] }
}

test('what was published is what the log gives; forged, doubled, lost and blind predictions are found, each by its name', async () => {
  const world = await openWorld({ partitions: 2, labels: true })
  const traffic = new CardTraffic({ seed: 91, partitions: 2, labels: true, stepMs: 1_800_000 })
  const service = world.start()
  await world.write(traffic.next(1_200))
  await world.caughtUp()
  expect(await service.stop()).toEqual({ code: 0, signal: null })

  const { predictions } = await readOutputs(world)
  const whole = await verified(world)
  expect(whole.report).toMatchObject({ differs: false, wrong: 0, differences: {}, missing: { count: 0 } })
  expect(whole.report).toMatchObject({ extra: { count: 0 }, twice: { count: 0 }, both: { count: 0 } })
  expect(whole.report.behind.count).toBe(0)
  expect(whole.code).toBe(0)
  expect(whole.report.compared).toBe(predictions.length)
  // The linear model is there, and its inputs are published.
  expect(whole.report.scores).toEqual({ compared: predictions.length, otherModels: 0 })

  const some = await verified(world, '--sample', '0.3')
  expect(some.report.compared).toBeGreaterThan(0)
  expect(some.report.compared).toBeLessThan(predictions.length)
  const ofKey = predictions.filter(({ value }) => value.key === 'c7')
  expect((await verified(world, '--keys', 'c7')).report.compared).toBe(ofKey.length)

  const [one, two, three] = predictions.map(({ value }) => value)
  const feature = { ...one!, features: { ...one!.features, customer_count_1h: 99 } }
  const score = { ...two!, score: two!.score + 1 }
  const nowhere = { ...three!, position: { ...three!.position, offset: 1_000_000 } }
  await forge(world, [feature, score, nowhere])
  const forged = await verified(world)
  expect(forged.code).toBe(1)
  expect(forged.report.twice).toEqual(placesOf(one!, two!))
  expect(forged.report.extra).toEqual(placesOf(nowhere))
  expect(forged.report.missing.count).toBe(0)
  // The score of the forged feature is no longer what the model says of what was published.
  expect(forged.report.differences).toMatchObject({
    customer_count_1h: {
      rows: 1,
      example: { published: 99, recomputed: one!.features!['customer_count_1h'] },
    },
    score: { rows: 2 },
  })

  // Committed as done although nobody predicted it: what exactly-once must never lose.
  const unseen = traffic.one()
  await world.write([unseen])
  const { offset } = world.input.at(-1)!
  expect((await verified(world, '--keys', unseen.key!)).report.missing.count).toBe(0)
  await world.admin.setOffsets({
    groupId: world.plan.kafka.group,
    topic: world.topics.transactions,
    partitions: [{ partition: unseen.partition, offset: String(offset + 1) }],
  })
  const lost = await verified(world, '--keys', unseen.key!)
  expect(lost.code).toBe(1)
  expect(lost.report.missing).toEqual({
    count: 1,
    examples: [`${world.topics.transactions}:${unseen.partition}@${offset}`],
  })

  expect(forged.report.behind.count).toBe(0)

  // All its numbers are right, and yet it says that it had read nothing of the others when they were computed.
  const seeing = predictions.findLast(
    ({ value }) => value.flags.length === 0 && value.features!['terminal_fraud_7d']! > 0,
  )!.value
  const unread = Object.fromEntries(Object.keys(seeing.watermarks!).map((input) => [input, 0]))
  await forge(world, [
    { ...seeing, watermarks: unread },
    { ...seeing, watermarks: unread, flags: ['unaligned'] },
  ])
  const { report } = await verified(world, '--keys', seeing.key)
  expect(report.behind.count).toBe(1)
  const lack = report.behind.examples.find(({ feature }) => feature === 'terminal_fraud_7d')!
  expect(lack).toMatchObject({ id: seeing.id, place: placeOf(seeing), held: 0 })
  expect(lack.input).toMatch(new RegExp(`^${world.topics.labels}:\\d$`))
  expect(lack.needed).toBeGreaterThan(0)

  const { code, stdout } = await millrace('verify', world.file)
  expect(code).toBe(1)
  expect(stdout).toContain(`had read ${lack.input} below 0  needed it below ${lack.needed}`)
  expect(stdout).toMatch(/^DIFFERENCES: of \d+ predictions compared, /)
  expect(stdout).toContain('customer_count_1h  1 rows')
})

test.each([
  [['--sample', '0'], /share above 0/],
  [['--sample', '0.1', '--keys', 'a'], /leave it or --keys out/],
  [['--since', '2026-02-01', '--until', '2026-01-01'], /is not before --until/],
  [['--since', 'noon'], /is no time/],
])('verify %j is wrong usage', async (args, message) => {
  const { code, stderr } = await millrace('verify', '--topology', 'topologies/card-fraud.yaml', ...args)
  expect(code).toBe(2)
  expect(stderr).toMatch(message)
})
