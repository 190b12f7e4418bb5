/**
 * What only the simulator knows of each payment, as a CSV beside the features: a model that is told this too shows how good
 * any model of these data can be. Nothing of it is in the topics, so nothing of it can be served.
 */
import { createWriteStream } from 'node:fs'
import { once } from 'node:events'
import type { FraudPattern } from '../../src/simulator/patterns.ts'
import type { SimulatedRecord } from '../../src/simulator/simulation.ts'

type Payment = Extract<SimulatedRecord, { kind: 'transaction' }>

const hourMs = 3_600_000
const dayMs = 24 * hourMs

/** A fraud of one kind lasts at one place from its first payment to its last; a longer pause than this begins another. */
const pauseMaxMs: Readonly<Record<FraudPattern, number>> = {
  terminal: 5 * dayMs,
  stolen: 5 * dayMs,
  testing: hourMs,
}

/** Spells of fraud by place (a terminal or a customer), each as [from, until]. */
type Spells = ReadonlyMap<string, readonly [from: number, until: number][]>

export async function writeTruth(
  records: Iterable<SimulatedRecord>,
  untilMs: number,
  file: string,
): Promise<void> {
  const payments: Payment[] = []
  for (const record of records) {
    if (record.timestampMs >= untilMs) break
    if (record.kind === 'transaction') payments.push(record)
  }
  const compromised = spells(payments, 'terminal', ({ value }) => value.terminal)
  const stolen = spells(payments, 'stolen', ({ value }) => value.customer)
  const tested = spells(payments, 'testing', ({ value }) => value.customer)
  const means = honestMeans(payments)
  const out = createWriteStream(file)
  out.write('id,terminal_is_compromised,card_is_stolen,card_is_tested,amount_to_honest_mean\n')
  for (const { value } of payments) {
    const { id, terminal, customer, ts, amountCents } = value
    const flags = [isIn(compromised, terminal, ts), isIn(stolen, customer, ts), isIn(tested, customer, ts)]
    const ratio = amountCents / (means.get(customer) ?? amountCents)
    if (!out.write(`${[id, ...flags.map(Number), ratio.toFixed(4)].join(',')}\n`)) await once(out, 'drain')
  }
  out.end()
  await once(out, 'finish')
}

function spells(
  payments: readonly Payment[],
  pattern: FraudPattern,
  placeOf: (payment: Payment) => string,
): Spells {
  const found = new Map<string, [number, number][]>()
  for (const payment of payments) {
    if (payment.pattern !== pattern) continue
    const place = placeOf(payment)
    const known = found.get(place) ?? []
    const last = known.at(-1)
    const { ts } = payment.value
    if (last !== undefined && ts - last[1] <= pauseMaxMs[pattern]) last[1] = ts
    else known.push([ts, ts])
    found.set(place, known)
  }
  return found
}

function isIn(spellsByPlace: Spells, place: string, ts: number): boolean {
  return spellsByPlace.get(place)?.some(([from, until]) => from <= ts && ts <= until) ?? false
}

/** Mean amount of what customers paid themselves, cents. */
function honestMeans(payments: readonly Payment[]): ReadonlyMap<string, number> {
  const sums = new Map<string, { sum: number; count: number }>()
  for (const { pattern, value } of payments) {
    if (pattern !== null && pattern !== 'terminal') continue
    const known = sums.get(value.customer) ?? { sum: 0, count: 0 }
    sums.set(value.customer, { sum: known.sum + value.amountCents, count: known.count + 1 })
  }
  return new Map([...sums].map(([customer, { sum, count }]) => [customer, sum / count]))
}
