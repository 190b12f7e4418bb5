import { expect, test } from 'vitest'
import { heldBackForLong, type HeldPartition } from '../../../src/kafka/held-back.ts'

const held = (stable: number, change: Partial<HeldPartition> = {}): HeldPartition => ({
  topic: 'in',
  partition: 0,
  stable,
  end: 100,
  producers: null,
  ...change,
})
const producer = { producerId: '1', epoch: 0, startOffset: 40, lastWrittenAtMs: 0, transaction: null }

async function looked(...looks: readonly (readonly HeldPartition[])[]) {
  const left = [...looks]
  const pauses: number[] = []
  const found = await heldBackForLong(
    async () => left.shift() ?? [],
    async (ms) => void pauses.push(ms),
  )
  return { found, pauses: pauses.length }
}

test('short transactions of producers that may not be asked for are no finding; one that stays is', async () => {
  expect(await looked([held(40)], [held(60)])).toEqual({ found: [], pauses: 1 })
  expect(await looked([held(40)], [])).toEqual({ found: [], pauses: 1 })
  expect(await looked([held(40)], [held(40)])).toEqual({ found: [held(40)], pauses: 1 })
})

test('where the producer is told, one look is enough', async () => {
  const named = held(40, { producers: [producer] })
  expect(await looked([named])).toEqual({ found: [named], pauses: 0 })
  expect(await looked([])).toEqual({ found: [], pauses: 0 })
})
