import { createRequire } from 'node:module'
import { beforeEach, expect, test } from 'vitest'
import { openTransactionPort, transactionalIdOf } from '../../../src/commit/kafka-transaction.ts'
import type { Claim, TransactionPort } from '../../../src/commit/transaction.ts'
import type { KafkaClient } from '../../../src/kafka/client.ts'
import type { Transaction, TransactionalProducer } from '../../../src/kafka/wire/transactional-producer.ts'
import type { OutputRecord } from '../../../src/record/output.ts'
import { manualClock } from '../../../src/time/manual-clock.ts'
import type { ManualClock } from '../../../src/time/manual-clock.ts'

const never = new AbortController().signal
const input = { source: 's', topic: 'in', partition: 3 }
const outputs: OutputRecord[] = [0, 1].map((partition) => ({
  kind: 'prediction',
  topic: 'out',
  partition,
  key: null,
  value: 'v',
  headers: undefined,
}))
const position = { offset: 7, metadata: '{"m":1}' }
const protocolError = (type: string) => Object.assign(new Error(type), { name: 'KafkaJSProtocolError', type })

/** What the client library knows of the errors of brokers. */
const { errorCodes } = createRequire(import.meta.url)('kafkajs/src/protocol/error') as {
  errorCodes: readonly { readonly type: string; readonly retriable: boolean }[]
}

type Step = 'claim' | 'begin' | 'send' | 'commit' | 'abort' | 'close'

/** A producer that notes what it is asked, and does at each step what the test says. */
class FakeProducer implements TransactionalProducer {
  readonly calls: Step[] = []
  sent: Parameters<Transaction['send']> | null = null
  readonly script: Partial<Record<Step, (() => Promise<void>)[]>> = {}

  async #step(step: Step): Promise<void> {
    this.calls.push(step)
    await this.script[step]?.shift()?.()
  }
  fail(step: Step, ...errors: Error[]): void {
    this.script[step] = errors.map((error) => () => Promise.reject(error))
  }
  claim = () => this.#step('claim')
  close = () => this.#step('close')
  begin = (): Transaction => {
    this.calls.push('begin')
    let isEnded = false
    let isGivenUp = false
    return {
      send: async (...sent) => {
        this.sent = sent
        await this.#step('send')
      },
      giveUp: () => {
        isGivenUp = true
      },
      commit: async () => {
        if (isGivenUp) throw new Error('given up')
        isEnded = true
        await this.#step('commit')
      },
      abort: async () => {
        if (!isEnded) await this.#step('abort')
      },
    }
  }
}

let producers: FakeProducer[]
let ids: string[]
let clock: ManualClock
let groupOffset: { offset: number; metadata: string }
let port: TransactionPort
/** Prepares the next producer before the claim uses it. */
let prepare: (producer: FakeProducer) => void

beforeEach(() => {
  producers = []
  ids = []
  clock = manualClock()
  prepare = () => {}
  groupOffset = { offset: 5, metadata: 'm' }
  port = openTransactionPort(portParts())
})

function portParts(): Parameters<typeof openTransactionPort>[0] {
  const client = {
    plan: { group: 'g', transactionTimeoutMs: 10_000 },
    admin: { groupOffset: async () => groupOffset, clusterId: async () => 'cluster' },
    transactionalProducer: (id: string) => {
      const producer = new FakeProducer()
      ids.push(id)
      prepare(producer)
      producers.push(producer)
      return producer
    },
  } as unknown as KafkaClient
  const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
  return { client, app: 'app', clock, log }
}

const only = (): FakeProducer => {
  const [producer] = producers
  if (!producer) throw new Error('no producer yet')
  return producer
}

/** A claim whose producer has forgotten the calls that claiming took. */
async function claimed(): Promise<{ claim: Claim; producer: FakeProducer }> {
  const claim = await port.claim(input, never)
  const producer = only()
  producer.calls.length = 0
  return { claim, producer }
}

test('the transactional id is the same on every instance, and no two inputs share one', async () => {
  await claimed()
  expect(ids).toEqual(['app|g|in|3'])
  expect(transactionalIdOf('a', 'g', { ...input, topic: 't.1' })).toBe('a|g|t.1|3')
})

test('a claim fences the others and sends nothing else', async () => {
  await port.claim(input, never)
  expect(only().calls).toEqual(['claim'])
})

test('a claim that fails closes its producer and says what failed', async () => {
  prepare = (producer) => producer.fail('claim', new Error('no coordinator'))
  await expect(port.claim(input, never)).rejects.toMatchObject({
    code: 'KAFKA_UNREACHABLE',
    message: 'claiming in:3: no coordinator',
  })
  expect(only().calls).toEqual(['claim', 'close'])
})

test('a transaction timeout above the broker’s maximum is a mistake in the topology', async () => {
  prepare = (producer) => producer.fail('claim', protocolError('INVALID_TRANSACTION_TIMEOUT'))
  await expect(port.claim(input, never)).rejects.toMatchObject({ code: 'TOPOLOGY_INVALID' })
})

test('a claim ends with its signal', async () => {
  prepare = (producer) => (producer.script.claim = [() => new Promise(() => {})])
  const stop = new AbortController()
  const claiming = port.claim(input, stop.signal)
  stop.abort(new Error('stopped'))
  await expect(claiming).rejects.toThrow('stopped')
  expect(only().calls).toEqual(['claim', 'close'])
  await expect(port.claim(input, stop.signal)).rejects.toThrow('stopped')
  expect(producers.length).toBe(1)
})

test.each([
  [
    { offset: 5, metadata: 'm' },
    { offset: 5, metadata: 'm' },
  ],
  [
    { offset: 0, metadata: '' },
    { offset: 0, metadata: '' },
  ],
  [{ offset: -1, metadata: '' }, null],
])('the group’s position is read as it is: %o', async (there, expected) => {
  groupOffset = there
  const { claim } = await claimed()
  expect(await claim.committed(never)).toEqual(expected)
})

test('only −1 means no position: another negative number was written by another program', async () => {
  groupOffset = { offset: -2, metadata: '' }
  const { claim } = await claimed()
  await expect(claim.committed(never)).rejects.toMatchObject({ code: 'OFFSET_FOREIGN' })
})

test.each(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'])(
  'a topic that refuses a record for its size (%s): what it takes is learnt before the claim is made again',
  async (type) => {
    const learnt: (readonly OutputRecord[])[] = []
    port = openTransactionPort({ ...portParts(), sizeRefused: async (refused) => void learnt.push(refused) })
    const { claim, producer } = await claimed()
    producer.fail('send', protocolError(type))
    await expect(claim.run(outputs, position)).rejects.toMatchObject({ code: 'TRANSACTION_NOT_COMMITTED' })
    expect(learnt).toEqual([outputs])
  },
)

test('outputs and position with metadata, then the commit; and again with the same producer', async () => {
  const { claim, producer } = await claimed()
  await claim.run(outputs, position)
  expect(producer.calls.splice(0)).toEqual(['begin', 'send', 'commit'])
  expect(producer.sent).toEqual([
    outputs,
    { group: 'g', topic: 'in', partition: 3, offset: 7, metadata: '{"m":1}' },
    { batchBytesMax: 1_048_588, compression: 'none', timeoutMs: 5_000 },
  ])
  await claim.run([], { ...position, offset: 8 })
  expect(producer.calls).toEqual(['begin', 'send', 'commit'])
  expect(producers.length).toBe(1)
})

test.each<[Step, Step[]]>([
  ['send', ['begin', 'send', 'abort', 'close']],
  ['commit', ['begin', 'send', 'commit', 'close']],
])('any failure ends the claim, a clean abort too: %s', async (step, calls) => {
  const { claim, producer } = await claimed()
  const cause = new Error('broken pipe')
  producer.fail(step, cause)
  await expect(claim.run(outputs, position)).rejects.toMatchObject({
    code: 'TRANSACTION_NOT_COMMITTED',
    message: expect.stringMatching(/in:3 up to offset 7 .*broken pipe/),
    cause,
  })
  await clock.advance(0)
  expect(producer.calls).toEqual(calls)
  await expect(claim.run(outputs, position)).rejects.toThrow(/claim again/)
  expect(producer.calls).toEqual(calls)
})

test.each<[Step]>([['send'], ['commit']])('another owner is recognised: %s', async (step) => {
  const { claim, producer } = await claimed()
  producer.fail(step, protocolError('INVALID_PRODUCER_EPOCH'))
  await expect(claim.run(outputs, position)).rejects.toMatchObject({ code: 'TRANSACTION_FENCED' })
})

test.each<[Step, string]>([
  ['send', 'TOPIC_AUTHORIZATION_FAILED'],
  ['send', 'GROUP_AUTHORIZATION_FAILED'],
  ['commit', 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED'],
])('a missing right stops the service instead of being tried for ever: %s, %s', async (step, type) => {
  const { claim, producer } = await claimed()
  producer.fail(step, protocolError(type))
  await expect(claim.run(outputs, position)).rejects.toMatchObject({
    code: 'KAFKA_UNAUTHORISED',
    reaction: 'stop',
    exitCode: 5,
    message: expect.stringContaining('in:3 up to offset 7'),
  })
})

test.each(errorCodes.filter(({ retriable }) => retriable).map(({ type }) => type))(
  'what may pass is tried again: %s',
  async (type) => {
    const { claim, producer } = await claimed()
    producer.fail('send', protocolError(type))
    await expect(claim.run(outputs, position)).rejects.toMatchObject({
      code: 'TRANSACTION_NOT_COMMITTED',
      reaction: 'handOver',
    })
  },
)

test('a transaction does not outlast its timeout, and does not commit after it', async () => {
  const { claim, producer } = await claimed()
  const answer = Promise.withResolvers<void>()
  producer.script.send = [() => answer.promise]
  const run = expect(claim.run(outputs, position)).rejects.toMatchObject({
    code: 'TRANSACTION_NOT_COMMITTED',
  })
  await clock.advance(10_000)
  await run
  answer.resolve()
  await clock.advance(0)
  expect(producer.calls).not.toContain('commit')
})

test('two transactions at once are a mistake of the caller', async () => {
  const { claim } = await claimed()
  const first = claim.run(outputs, position)
  await expect(claim.run(outputs, position)).rejects.toMatchObject({ code: 'INTERNAL' })
  await first
})

test('closing twice closes once, never throws, and ends the claim', async () => {
  const { claim, producer } = await claimed()
  producer.fail('close', new Error('reset'))
  await Promise.all([claim.close(), claim.close()])
  expect(producer.calls).toEqual(['close'])
  await expect(claim.run(outputs, position)).rejects.toMatchObject({ code: 'TRANSACTION_NOT_COMMITTED' })
})

test('a broker that does not answer cannot hold up closing', async () => {
  const { claim, producer } = await claimed()
  producer.script.close = [() => new Promise(() => {})]
  const closing = claim.close()
  await clock.advance(5_000)
  await expect(closing).resolves.toBeUndefined()
})

test('the cluster tells who it is', async () => {
  expect(await port.clusterId()).toBe('cluster')
})
