import { expect, test } from 'vitest'
import type { CoordinatedTransaction, HeldPartition, OpenProducer } from '../../../../src/kafka/held-back.ts'
import type { Report } from '../../../../src/service/doctor/table.ts'
import { find } from './world.ts'

const nowMs = Date.UTC(2026, 0, 31, 12)

function held(
  openMs: number,
  transaction: Partial<CoordinatedTransaction> | null = {},
  change: Partial<HeldPartition> = {},
): Report {
  const producer: OpenProducer = {
    producerId: '7',
    epoch: 2,
    startOffset: 40,
    lastWrittenAtMs: nowMs - openMs,
    transaction: transaction && {
      transactionalId: 'etl-1',
      state: 'Ongoing',
      startedAtMs: nowMs - openMs,
      timeoutMs: 300_000,
      ...transaction,
    },
  }
  const one = { topic: 'in', partition: 1, stable: 40, end: 90, producers: [producer], ...change }
  return find('topics.open-transactions', { heldBack: { value: [one] }, nowMs })
}

test('a transaction of seconds is told, and is no trouble', () => {
  expect(held(5_000)).toMatchObject({
    status: 'ok',
    found: expect.stringContaining('transactional id etl-1'),
  })
})

test('one that is open for minutes is named: where, whose, since when, until when', () => {
  const report = held(120_000)
  expect(report.status).toBe('warn')
  expect(report.found).toBe(
    'in:1: 50 offsets from 40 on are held back by an open transaction of producer 7 (epoch 2), ' +
      'transactional id etl-1 (Ongoing), open since 2026-01-31T11:58:00.000Z. The coordinator aborts it 5m after its start',
  )
})

test('one that is over its time hangs: the command that ends it, and what that costs', () => {
  expect(held(400_000)).toMatchObject({
    status: 'fail',
    fix: expect.stringMatching(/never read.*abort --topic in --partition 1 --start-offset 40$/),
  })
})

test('one that its coordinator takes for ended hangs at once, once it cannot be a matter of moments', () => {
  const over = { state: 'CompleteAbort', startedAtMs: null }
  expect(held(5_000, over).status).toBe('ok')
  expect(held(120_000, over)).toMatchObject({
    status: 'fail',
    found: expect.stringContaining('takes it for ended'),
    fix: expect.stringContaining('abort --topic in'),
  })
})

test('a producer that no coordinator knows is given the longest time that brokers allow', () => {
  expect(held(400_000, null)).toMatchObject({ status: 'warn' })
  const report = held(1_000_000, null)
  expect(report).toMatchObject({
    status: 'fail',
    found: expect.stringContaining('last record is from 2026-01-31T11:43'),
  })
})

test('without the right to ask whose it is, the place is told and what to grant', () => {
  expect(held(0, null, { producers: null })).toMatchObject({
    status: 'warn',
    found: expect.stringContaining('in:1: 50 offsets from 40 on'),
    fix: expect.stringContaining('Grant Read on in'),
  })
})
