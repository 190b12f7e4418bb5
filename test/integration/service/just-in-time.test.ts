import { expect, test } from 'vitest'
import type { Behind, VerifyReport } from '../../../src/service/verify/tally.ts'
import { millrace } from '../../support/command-line.ts'
import { checkExactlyOnce } from '../../support/exactly-once.ts'
import type { InputRecord } from '../../support/service-records.ts'
import { openWorld, type ServiceWorld } from '../../support/service-world.ts'

const dayMs = 86_400_000
const partitions = 4
const terminals = 6
const stepMs = dayMs / 4

/** Ten weeks of payments of some years ago, four a day; each label is written just before the payment that needs it. */
class JustInTime {
  readonly #labels: InputRecord[] = []
  #made = 0

  /** The labels that the next payment needs, then the payment: each an upload of its own. */
  next(): (readonly InputRecord[])[] {
    const i = this.#made++
    const time = Date.UTC(2019, 2, 1) + i * stepMs
    const terminal = `t${(i * 5) % terminals}`
    const due = this.#labels.filter(({ event }) => (event?.time ?? 0) <= time - 7 * dayMs)
    this.#labels.splice(0, due.length)
    this.#labels.push(labelOf(i, terminal, time))
    return [due, [paymentOf(i, terminal, time)]]
  }
}

function paymentOf(i: number, terminal: string, ts: number): InputRecord {
  const fields = { id: `tx-${i}`, customer: `c${i % 9}`, terminal, amountCents: 100 + i, tier: 1, ts }
  return {
    source: 'transactions',
    partition: (i % 9) % partitions,
    key: fields.customer,
    value: JSON.stringify(fields),
    timestampMs: Date.UTC(2026, 0, 1) + i,
    becomes: 'prediction',
    event: { id: fields.id, key: fields.customer, time: ts, fields },
  }
}

function labelOf(i: number, terminal: string, ts: number): InputRecord {
  const fields = { id: `tx-${i}`, terminal, fraud: i % 3 !== 0, ts }
  return {
    source: 'labels',
    partition: Number(terminal.slice(1)) % partitions,
    key: terminal,
    value: JSON.stringify(fields),
    timestampMs: Date.UTC(2026, 0, 1) + i,
    becomes: 'state',
    event: { id: fields.id, key: terminal, time: ts, fields },
  }
}

async function play(world: ServiceWorld, traffic: JustInTime, payments: number): Promise<void> {
  for (let i = 0; i < payments; i++) for (const records of traffic.next()) await world.write(records)
}

/** What `millrace verify` says of predictions that saw too little. */
async function behind(world: ServiceWorld): Promise<readonly Behind[]> {
  const { stdout } = await millrace('verify', '--topology', world.file, '--json')
  return (JSON.parse(stdout) as VerifyReport).behind.examples
}

/** In no order, as labels are unless somebody says otherwise. */
const unordered = { sources: { labels: { outOfOrder: null } } }

test('labels written just before the payments that need them, years after they happened, are seen by all of these', async () => {
  const world = await openWorld({ labels: true, change: unordered })
  const service = world.start()
  await service.until(() => (service.owned().length > 0 ? true : null), 'it serves')
  const traffic = new JustInTime()
  await play(world, traffic, 150)
  world.start() // half of the partitions move
  await play(world, traffic, 80)
  await service.kill()
  await play(world, traffic, 50)
  await world.caughtUp()
  // Soft: so that a mistake shows both to verify and to the referee.
  expect.soft(await behind(world)).toEqual([])
  const { predictions } = await checkExactlyOnce(world, { complete: true })
  const risky = predictions.filter(({ value }) => (value.features?.['terminal_fraud_7d'] ?? 0) > 0)
  expect(risky.length).toBeGreaterThan(100)
})
