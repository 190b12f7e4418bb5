import { expect, test } from 'vitest'
import { createDecoder, type Decoder } from '../../../../src/decode/decoder.ts'
import { createDeadLetterCheck, type Verdict } from '../../../../src/service/dead-letters/check.ts'
import type { DeadLetter } from '../../../../src/service/dead-letters/dead-letter.ts'
import { manualClock } from '../../../../src/time/manual-clock.ts'
import { load, topology } from '../../topology/written.ts'

const nowMs = Date.UTC(2026, 0, 5)
const hourMs = 3_600_000

type Replacements = readonly (readonly [from: string, to: string])[]

interface Given {
  readonly value: string
  readonly key?: string
  readonly topic?: string
  readonly largestTime?: number
  readonly missing?: ReadonlyMap<string, number> | null
  readonly replace?: Replacements
  /** Behind the topology. */
  readonly more?: string
  readonly decoder?: Decoder
}

async function verdictOf(given: Given): Promise<Verdict> {
  const plan = load(`${topology(...(given.replace ?? []))}${given.more ?? ''}`)
  const clock = manualClock(nowMs)
  const decoders = new Map(
    plan.sources.map((source) => [
      source.name,
      { decoder: given.decoder ?? createDecoder(source, null, clock) },
    ]),
  )
  const check = createDeadLetterCheck({
    plan,
    clock,
    decoders,
    missing: given.missing === undefined ? new Map() : given.missing,
    largestTime: () => Promise.resolve(given.largestTime ?? null),
  })
  const topic = given.topic ?? 'in'
  const raw = {
    topic: `dlq.${topic}`,
    partition: 0,
    offset: 1,
    timestamp: 0,
    key: Buffer.from(given.key ?? 'c1'),
    value: Buffer.from(given.value),
    headers: [],
  }
  const letter = {
    raw,
    holdsRecord: true,
    source: { topic, partition: 0, offset: 9 },
  } as unknown as DeadLetter
  return check(letter)
}

const transaction = (change: object = {}): string =>
  JSON.stringify({
    id: 'tx-1',
    customer: 'c1',
    terminal: 't1',
    amountCents: 1250,
    ts: nowMs - 1000,
    ...change,
  })

test('a record that decodes would be scored, also when its event time was in the future and is not any more', async () => {
  expect(await verdictOf({ value: transaction() })).toEqual({
    outcome: 'scored',
    flags: [],
    message: 'decodes',
    eventId: 'tx-1',
    eventTime: nowMs - 1000,
  })
  const future = await verdictOf({ value: transaction({ ts: nowMs + hourMs }) })
  expect(future).toMatchObject({ outcome: 'dead-letter', reason: 'TIMESTAMP' })
})

test('a record that still does not decode says why', async () => {
  expect(await verdictOf({ value: '{"id":' })).toMatchObject({ outcome: 'dead-letter', reason: 'DECODE' })
  expect(await verdictOf({ value: transaction({ amountCents: 'much' }) })).toMatchObject({
    outcome: 'dead-letter',
    reason: 'SCHEMA',
    message: expect.stringContaining('/amountCents'),
  })
  expect(await verdictOf({ value: transaction(), key: 'c2' })).toMatchObject({ reason: 'VALIDATION' })
})

test('an event older than the committed event time allows is late, by the policy of its source', async () => {
  const late = { value: transaction({ ts: nowMs - 10 * hourMs }), largestTime: nowMs }
  expect(await verdictOf(late)).toMatchObject({ outcome: 'scored', flags: ['late'] })
  expect(await verdictOf({ ...late, largestTime: nowMs - 9.5 * hourMs })).toMatchObject({ flags: [] })
  const replace: Replacements = [['role: score', 'role: score\n    late: dead-letter']]
  expect(await verdictOf({ ...late, replace })).toMatchObject({ outcome: 'dead-letter', reason: 'LATE' })
})

test('a label would change windows, or nothing when its source says that it is late', async () => {
  const value = JSON.stringify({ id: 'tx-1', terminal: 't1', fraud: true, ts: nowMs - 1000 })
  const label = { topic: 'labels', key: 't1', value }
  expect(await verdictOf(label)).toMatchObject({ outcome: 'state' })
  const behind = { ...label, largestTime: nowMs + 400 * 24 * hourMs }
  expect(await verdictOf(behind)).toMatchObject({ outcome: 'state' })
  const replace: Replacements = [['role: state', 'role: state\n    allowedLateness: 2h']]
  expect(await verdictOf({ ...behind, replace })).toMatchObject({ outcome: 'ignored' })
})

test('a schema id that the registry does not know makes the partition wait, asked for once', async () => {
  const decoder: Decoder = {
    prepare: (_, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    decode: () => {
      throw new Error('not prepared')
    },
  }
  const clock = manualClock(nowMs)
  const plan = load(topology())
  const source = {
    ...plan.sources[0]!,
    codec: { kind: 'avro', subject: 's', reader: {}, giveUpIds: [] },
  } as const
  let asked = 0
  const counting: Decoder = {
    ...decoder,
    prepare: (records, signal) => {
      asked++
      return decoder.prepare(records, signal)
    },
  }
  const check = createDeadLetterCheck({
    plan: { ...plan, sources: [source] },
    clock,
    decoders: new Map([[source.name, { decoder: counting }]]),
    missing: null,
    largestTime: () => Promise.resolve(null),
  })
  const raw = { topic: 'dlq.in', partition: 0, offset: 1, timestamp: 0, key: null, headers: [] }
  const letter = {
    raw: { ...raw, value: Buffer.from([0, 0, 0, 0, 42, 1]) },
    holdsRecord: true,
    source: { topic: 'in', partition: 0, offset: 9 },
  }
  const first = check(letter as unknown as DeadLetter)
  await clock.advance(5_000)
  expect(await first).toMatchObject({ outcome: 'waits', message: expect.stringContaining('schema id 42') })
  expect(await check(letter as unknown as DeadLetter)).toMatchObject({ outcome: 'waits' })
  expect(asked).toBe(1)
})

test('a model input of the event alone that is missing, or no float32, is found without any state', async () => {
  const replace: Replacements = [['amount: amountCents / 100', 'amount: amountCents / 0.0 * 0.0']]
  expect(await verdictOf({ value: transaction(), replace })).toMatchObject({
    outcome: 'dead-letter',
    reason: 'MISSING',
  })
  const missing = new Map([['amount', 0]])
  expect(await verdictOf({ value: transaction(), replace, missing })).toMatchObject({ outcome: 'scored' })
  expect(await verdictOf({ value: transaction(), replace, missing: null })).toMatchObject({
    outcome: 'scored',
  })
})

test('a topic that the topology does not read', async () => {
  expect(await verdictOf({ value: '', topic: 'elsewhere' })).toMatchObject({ outcome: 'unknown-source' })
})

test('an event on which an expression is still in error would be a dead letter again, by that policy only', async () => {
  const replace = [['where: amountCents < 500', 'where: int(customer) < 500']] as const
  const more = 'expressions: {onError: dead-letter}\n'
  expect(await verdictOf({ value: transaction(), replace, more })).toMatchObject({
    outcome: 'dead-letter',
    reason: 'EXPRESSION',
    message: 'features.small_10m.where: int() cannot read this text',
  })
  expect(await verdictOf({ value: transaction(), replace })).toMatchObject({ outcome: 'scored' })
})
