import type { Claim, TransactionPort } from '../../src/commit/transaction.ts'
import type { Shared } from '../../src/pipeline/partition-context.ts'
import { parseWatermark } from '../../src/pipeline/watermark.ts'
import { inputName } from '../../src/record/input.ts'
import { simulatedTransactions } from './transaction-port.ts'
import type { Sabotage } from './world.ts'

export type { Sabotage }

/** Lies of the ports. The checker must notice every one of them. */
export const sabotages: Readonly<Record<string, Sabotage>> = {
  'a claim fences nobody': { noFence: true },

  'the position is read before the claim': {
    shared: (shared, world) =>
      withClaims(shared, async (transactions, input, signal) => {
        const before = world.kafka.committed(inputName(input))
        await shared.clock.sleep(world.timeline.dice('sabotage').between(1, 400), signal)
        const claim = await transactions.claim(input, signal)
        let isFirst = true
        return {
          committed: (stop) => {
            const stale = isFirst && before !== null
            isFirst = false
            return stale ? Promise.resolve(before) : claim.committed(stop)
          },
          run: (outputs, position) => claim.run(outputs, position),
          close: () => claim.close(),
        }
      }),
  },

  'logs are said to end where they began': {
    shared: (shared) => ({
      ...shared,
      topics: {
        ...shared.topics,
        logEnds: async (names, signal) => {
          const ends = await shared.topics.logEnds(names, signal)
          return new Map([...ends.keys()].map((name) => [name, 0]))
        },
      },
    }),
  },

  'the newer watermark wins': {
    redis: (redis) => {
      redis.script = (bucket, request) => {
        const current = redis.store.watermarksNow(bucket).get(request.inputName) ?? null
        const isNewer =
          (parseWatermark(request.next)?.offset ?? -1) > (parseWatermark(current)?.offset ?? Infinity)
        return redis.store.flushNow(bucket, isNewer ? { ...request, expected: current } : request)
      }
    },
  },

  'a refused flush passes for an applied one': {
    shared: (shared) => ({
      ...shared,
      store: {
        ...shared.store,
        flush: async (bucket, request, signal) => {
          await shared.store.flush(bucket, request, signal)
          return { applied: true, current: request.next }
        },
      },
    }),
  },

  'changes are flushed before the commit is acknowledged': {
    shared: (shared) =>
      withClaims(shared, async (transactions, input, signal) => {
        const claim = await transactions.claim(input, signal)
        let before: Promise<void> = Promise.resolve()
        return {
          committed: (stop) => claim.committed(stop),
          run: async (outputs, position) => {
            await before
            before = claim.run(outputs, position)
            before.catch(() => undefined)
            await shared.clock.sleep(3)
          },
          close: () => claim.close(),
        }
      }),
  },

  'the scores of a batch change places': {
    shared: (shared) => ({
      ...shared,
      batching: {
        get hasRoom() {
          return shared.batching.hasRoom
        },
        room: (signal) => shared.batching.room(signal),
        score: async (rows, n, signal) => {
          const scored = await shared.batching.score(rows, n, signal)
          return { ...scored, scores: scored.scores.toReversed() }
        },
      },
    }),
  },

  'outputs of one transaction change places': {
    shared: (shared, { timeline }) =>
      withRuns(shared, (claim, outputs, position) =>
        claim.run(timeline.dice('sabotage').chance(0.1) ? outputs.toReversed() : outputs, position),
      ),
  },

  'a watermark moves on over queued changes': {
    shared: (shared, { timeline }) => ({
      ...shared,
      store: {
        ...shared.store,
        flush: (bucket, request, signal) =>
          shared.store.flush(
            bucket,
            timeline.dice('sabotage').chance(0.1) ? { ...request, changes: [] } : request,
            signal,
          ),
      },
    }),
  },

  'a change is flushed twice': {
    redis: (redis) => {
      redis.script = (bucket, request) => {
        const twice = request.changes.flatMap((change) =>
          change.kind === 'append' ? [change, change] : [change],
        )
        return redis.store.flushNow(bucket, { ...request, changes: twice })
      }
    },
  },

  'a producer goes on after a clean abort': {
    shared: (shared, { wire, kafka, violated }, host) => ({
      ...shared,
      transactions: simulatedTransactions({
        wire,
        host,
        kafka,
        violated,
        kept: new Map(),
      }),
    }),
  },

  'an alert is lost now and then': {
    shared: (shared, { timeline }) =>
      withRuns(shared, (claim, outputs, position) =>
        claim.run(
          outputs.filter(({ kind }) => kind !== 'alert' || !timeline.dice('sabotage').chance(0.05)),
          position,
        ),
      ),
  },

  'a slice is produced twice': {
    shared: (shared, { timeline }) =>
      withRuns(shared, (claim, outputs, position) =>
        claim.run(timeline.dice('sabotage').chance(0.05) ? [...outputs, ...outputs] : outputs, position),
      ),
  },

  'a send that left a topic out is not noticed': {
    shared: (shared, { timeline }) =>
      withRuns(shared, (claim, outputs, position) => {
        const left = timeline
          .dice('sabotage')
          .pick(['prediction', 'alert', 'dead-letter', '', '', '', '', ''])
        return claim.run(
          outputs.filter(({ kind }) => kind !== left),
          position,
        )
      }),
  },

  'the metadata is forgotten': {
    shared: (shared) =>
      withRuns(shared, (claim, outputs, { offset }) => claim.run(outputs, { offset, metadata: '' })),
  },
}

function withClaims(
  shared: Shared,
  claim: (inner: TransactionPort, ...call: Parameters<TransactionPort['claim']>) => Promise<Claim>,
): Shared {
  const { transactions } = shared
  return {
    ...shared,
    transactions: {
      clusterId: () => transactions.clusterId(),
      claim: (input, signal) => claim(transactions, input, signal),
    },
  }
}

function withRuns(
  shared: Shared,
  run: (inner: Claim, ...call: Parameters<Claim['run']>) => Promise<void>,
): Shared {
  return withClaims(shared, async (transactions, input, signal) => {
    const claim = await transactions.claim(input, signal)
    return {
      committed: (stop) => claim.committed(stop),
      run: (outputs, position) => run(claim, outputs, position),
      close: () => claim.close(),
    }
  })
}
