import { expect, test } from 'vitest'
import { MemoryStore } from '../../../src/features/memory-store.ts'
import { encodeMetadata } from '../../../src/pipeline/metadata.ts'
import type { StateSetup } from '../../../src/pipeline/partition-context.ts'
import { WarmTask } from '../../../src/pipeline/warm-task.ts'
import { encodeWatermark } from '../../../src/pipeline/watermark.ts'
import type { InputStream } from '../../../src/source/source.ts'
import { manualClock } from '../../../src/time/manual-clock.ts'

const metadata = encodeMetadata({
  incarnation: 'inc',
  stateHash: 'old',
  clusterId: 'cluster',
  offset: 100,
  last: null,
  maxTime: 1,
  start: 0,
  base: 0,
  anchors: [],
  quarantine: [],
  gapUntil: null,
})

test('a warmer leaves a partition to an owner that has committed nothing yet, but writes its watermark', async () => {
  const clock = manualClock()
  const store = new MemoryStore([], 1)
  let looks = 0
  const setup = {
    shared: {
      plan: { stateHash: 'new' },
      clock,
      store,
      topics: { look: () => Promise.reject(new Error(`looked at the topics ${++looks} times`)) },
    },
    input: { source: 'transactions', topic: 'tx', partition: 0 },
  } as unknown as StateSetup
  const ownerWrites = async (): Promise<void> => {
    const times = {
      maxTime: 1,
      flushedAt: clock.now(),
      caughtUpAt: 0,
      distanceMin: null,
      headTime: null,
      builtAt: null,
    }
    const next = encodeWatermark({ incarnation: 'inc', build: 'aabbccdd', offset: 100, ...times })
    const expected = store.watermarksNow(0).get('tx:0') ?? null
    await store.flush(0, { inputName: 'tx:0', expected, next, changes: [], ttlMs: 1 })
  }
  await ownerWrites()
  const stop = new AbortController()
  const stream = { ended: new AbortController().signal } as unknown as InputStream
  const task = new WarmTask(setup, stream, { after: async () => ({ offset: 100, metadata }) })
  const running = task.run(stop.signal)
  for (let second = 0; second < 12; second++) {
    await clock.advance(1_000)
    await ownerWrites()
  }
  expect(task.reading.phase).toBe('served')
  expect(looks).toBe(0)
  stop.abort()
  await clock.advance(1)
  await running
})
