import { expect, test } from 'vitest'
import { HeldForeign } from '../../../src/pipeline/held-foreign.ts'

const part = (bytes: number) => ({ bytes, length: 1, lastOffset: 1 })
const at = (text: string) => new Map([['tx:1', text]])
/** Read twice under the same watermark. */
function keep(
  held: HeldForeign,
  bucket: number,
  text: string,
  parts: Parameters<HeldForeign['put']>[3],
): void {
  held.put(bucket, 'tx:1', at(text), parts)
  held.put(bucket, 'tx:1', at(text), parts)
}

test('what is read under a watermark that moves with each read is not kept', () => {
  const held = new HeldForeign()
  for (const text of ['w1', 'w2', 'w3']) held.put(0, 'tx:1', at(text), new Map([['a', part(1_000)]]))
  expect([held.bytes, held.share(0, 'tx:1')]).toEqual([0, null])
})

test('what is held is counted, once, and not counted any more when its watermark has moved', () => {
  const held = new HeldForeign()
  keep(held, 0, 'w1', new Map([['a', part(1_000)]]))
  const { bytes } = held
  held.put(0, 'tx:1', at('w1'), new Map([['a', part(1_000)]]))
  expect([bytes >= 1_000, held.bytes]).toEqual([true, bytes])
  held.put(0, 'tx:1', at('w2'), new Map())
  expect([held.bytes, held.share(0, 'tx:1')]).toEqual([0, null])
})

test('a part that is not there is remembered, and counted as well', () => {
  const held = new HeldForeign()
  keep(held, 0, 'w1', new Map([['a', null]]))
  expect([held.share(0, 'tx:1')?.parts.get('a'), held.bytes > 0]).toEqual([null, true])
})

test('eviction goes down to its bound, the oldest first', () => {
  const held = new HeldForeign()
  for (const bucket of [0, 1, 2]) keep(held, bucket, 'w1', new Map([['a', part(1_000)]]))
  held.evict((held.bytes * 2) / 3)
  expect([0, 1, 2].map((bucket) => held.share(bucket, 'tx:1') !== null)).toEqual([false, true, true])
  held.evict(0)
  expect(held.bytes).toBe(0)
})

test('buckets have watermarks of their own', () => {
  const held = new HeldForeign()
  keep(held, 0, 'w1', new Map([['a', part(1)]]))
  keep(held, 1, 'w2', new Map([['a', part(1)]]))
  expect([held.share(0, 'tx:1')?.watermark, held.share(1, 'tx:1')?.watermark]).toEqual(['w1', 'w2'])
})
