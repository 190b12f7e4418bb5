import { expect, test } from 'vitest'
import type { Broker } from '../../../src/kafka/internals.ts'
import { patchStableOffsets, stableOffsetOf } from '../../../src/kafka/patches/stable-offsets.ts'

test('the last stable offset of a fetch is known of each of its partitions, also where no record came', async () => {
  const [some, none, old] = [[{}], [], []] as [object[], object[], object[]]
  class Fetching {
    fetch() {
      const partitions = [
        { lastStableOffset: '41', messages: some },
        { lastStableOffset: '7', messages: none },
        { messages: old },
      ]
      return Promise.resolve({ responses: [{ partitions }] })
    }
  }
  patchStableOffsets(Fetching as unknown as { prototype: Broker })
  await new Fetching().fetch()
  const batch = (rawMessages: object[]) =>
    ({ rawMessages }) as unknown as Parameters<typeof stableOffsetOf>[0]
  expect([some, none, old].map((one) => stableOffsetOf(batch(one)))).toEqual([41, 7, -1])
})
