import { beforeEach, expect, test, vi } from 'vitest'
import type { KafkaClient } from '../../../src/kafka/client.ts'
import type { ConsumerHooks } from '../../../src/kafka/consumer-hooks.ts'
import type { Fetched } from '../../../src/kafka/fetched.ts'
import type { GroupCoordinator, JoiningMember } from '../../../src/kafka/internals.ts'
import type { KafkaPlan } from '../../../src/kafka/plan.ts'
import { openKafkaSource } from '../../../src/source/kafka-source.ts'
import type { InputStream, Source } from '../../../src/source/source.ts'
import { manualClock } from '../../../src/time/manual-clock.ts'
import type { ManualClock } from '../../../src/time/manual-clock.ts'
import { plainBatch } from '../../support/record-batches.ts'

const never = new AbortController().signal
const plan: KafkaPlan = {
  brokers: ['b:1'],
  clientId: 'c',
  instance: null,
  group: 'g',
  sessionTimeoutMs: 10_000,
  transactionTimeoutMs: 10_000,
  ssl: false,
  sasl: null,
}

type Listener = (event: { payload: unknown }) => void

/** A consumer of kafkajs reduced to its events, its hooks and what it is told. */
class FakeConsumer {
  readonly events = { GROUP_JOIN: 'join', HEARTBEAT: 'heartbeat', CRASH: 'crash' }
  readonly listeners = new Map<string, Listener>()
  readonly calls: string[] = []
  config: { retry?: { restartOnFailure?: () => Promise<boolean> } } = {}
  hooks: ConsumerHooks | null = null
  disconnecting: Promise<void> = Promise.resolve()
  joins = true
  members: { memberId: string; clientId: string }[] = []
  readonly coordinator: GroupCoordinator = {
    nodeId: 1,
    isConnected: () => true,
    describeGroups: async () => ({ groups: [{ members: this.members }] }),
    leaveGroup: async ({ groupId, memberId }) => void this.calls.push(`leave ${groupId} ${memberId}`),
  }

  readonly group: JoiningMember = {
    cluster: {
      brokerPool: { brokers: {} },
      findGroupCoordinator: async () => this.coordinator,
    },
    seek: ({ topic, partition, offset }) => void this.calls.push(`seek ${topic}:${partition} ${offset}`),
    pause: (parts) =>
      void this.calls.push(
        `pause ${parts.map((one) => `${one.topic}:${one.partitions.join('+')}`).join(' ')}`,
      ),
    resume: () => void this.calls.push('resume'),
    heartbeat: async () => {
      this.calls.push('heartbeat')
      throw new Error('REBALANCE_IN_PROGRESS')
    },
  }

  on(event: string, listener: Listener): void {
    this.listeners.set(event, listener)
  }
  async connect(): Promise<void> {}
  async subscribe(): Promise<void> {}
  async run(): Promise<void> {
    if (this.joins) await this.join({ t: [0, 1] })
  }
  disconnect(): Promise<void> {
    this.calls.push('disconnect')
    return this.disconnecting
  }

  emit(event: keyof FakeConsumer['events'], payload: unknown): void {
    this.listeners.get(this.events[event])?.({ payload })
  }
  async join(memberAssignment: Record<string, number[]>): Promise<void> {
    await this.hooks?.beforeJoin(this.group)
    this.emit('GROUP_JOIN', { memberId: 'm', memberAssignment })
  }
}

let consumer: FakeConsumer
let clock: ManualClock
let source: Source
let assignments: (readonly InputStream[])[]
let revoking: () => Promise<void>
let crashed: ReturnType<typeof vi.fn<(error: unknown) => void>>

beforeEach(() => {
  consumer = new FakeConsumer()
  clock = manualClock()
  assignments = []
  revoking = vi.fn(async () => {})
  crashed = vi.fn()
  open(plan)
})

function open(kafka: KafkaPlan): void {
  const client = {
    plan: kafka,
    admin: { logRange: async () => ({ start: 7, end: 9 }) },
    consumer: (config: FakeConsumer['config'], hooks: ConsumerHooks) => {
      Object.assign(consumer, { config, hooks })
      return consumer
    },
  } as unknown as KafkaClient
  source = openKafkaSource({
    client,
    plan: kafka,
    topics: [{ source: 's', topic: 't' }],
    clock,
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
  })
}

const start = () =>
  source.start({
    assigned: (streams) => void assignments.push(streams),
    revoking: () => revoking(),
    crashed: (error) => crashed(error),
  })

function stream(generation: number, partition = 0): InputStream {
  const found = assignments[generation]?.find(({ input }) => input.partition === partition)
  if (!found) throw new Error(`no partition ${partition} in generation ${generation}`)
  return found
}

const fetched = (topic: string, partition: number, offset: number): Fetched => ({
  topic,
  partition,
  fetchedOffset: offset,
  highWatermark: 10,
  stableOffset: -1,
  bytes: plainBatch([{ offset, timestamp: 0, key: null, value: null }]),
  aborted: null,
})

test('a join pauses what was assigned and hands it out, named by source', async () => {
  await start()
  expect(consumer.calls).toEqual(['pause t:0+1'])
  expect(assignments[0]?.map(({ input }) => input)).toEqual([
    { source: 's', topic: 't', partition: 0 },
    { source: 's', topic: 't', partition: 1 },
  ])
  expect(revoking).not.toHaveBeenCalled()
})

test('members of the same instance name are sent away before the first join, and only then', async () => {
  consumer.members = [
    { memberId: 'dead', clientId: 'c@pod-1' },
    { memberId: 'other', clientId: 'c@pod-2' },
  ]
  open({ ...plan, clientId: 'c@pod-1', instance: 'pod-1' })
  await start()
  expect(consumer.calls).toEqual(['leave g dead', 'pause t:0+1'])
  await consumer.join({ t: [0] })
  expect(consumer.calls.filter((call) => call.startsWith('leave'))).toEqual(['leave g dead'])
})

test('without an instance name nobody is sent away, and trouble in looking does not stop the join', async () => {
  consumer.members = [{ memberId: 'twin', clientId: 'c' }]
  await start()
  expect(consumer.calls).toEqual(['pause t:0+1'])
  consumer.coordinator.describeGroups = () => Promise.reject(new Error('no rights'))
  open({ ...plan, instance: 'pod-1' })
  await start()
  expect(assignments.length).toBe(2)
})

test('the position of the client moves only over what the stream accepted', async () => {
  await start()
  stream(0).seek(5)
  const resolve = vi.fn()
  consumer.hooks?.fetched(fetched('t', 0, 4), resolve)
  consumer.hooks?.fetched(fetched('t', 1, 5), resolve)
  consumer.hooks?.fetched(fetched('other', 0, 5), resolve)
  expect(resolve).not.toHaveBeenCalled()
  consumer.hooks?.fetched(fetched('t', 0, 5), resolve)
  expect(resolve).toHaveBeenCalledExactlyOnceWith(6)
})

test('before a new join the handler finishes, and only then do the old streams end', async () => {
  await start()
  const finish = Promise.withResolvers<void>()
  revoking = vi.fn(() => finish.promise)
  const joining = consumer.join({ t: [1] })
  await clock.advance(0)
  expect(stream(0).ended.aborted).toBe(false)
  expect(assignments.length).toBe(1)
  finish.resolve()
  await joining
  expect(stream(0).ended.aborted).toBe(true)
  expect(assignments[1]?.map(({ input }) => input.partition)).toEqual([1])
  expect(stream(1, 1).ended.aborted).toBe(false)
})

test('heartbeats go out beside the fetches, also while the handler finishes, and end with the generation', async () => {
  const beats = (): number => consumer.calls.filter((call) => call === 'heartbeat').length
  await start()
  await clock.advance(1_000)
  expect(beats()).toBe(2)
  const finish = Promise.withResolvers<void>()
  revoking = () => finish.promise
  const joining = consumer.join({ t: [0] })
  await clock.advance(1_500)
  expect(beats()).toBe(5)
  finish.resolve()
  await joining
  await source.stop()
  const sent = beats()
  await clock.advance(5_000)
  expect(beats()).toBe(sent)
})

test.each([
  ['never finishes', () => new Promise<void>(() => {})],
  ['fails', () => Promise.reject(new Error('x'))],
])('a handler that %s does not hold up the group for longer than the deadline', async (_name, handler) => {
  await start()
  revoking = handler
  const joining = consumer.join({ t: [0] })
  await clock.advance(10_000)
  await joining
  expect(stream(0).ended.aborted).toBe(true)
  expect(assignments.length).toBe(2)
})

test('one generation is revoked once, however many ask for it at the same time or later', async () => {
  await start()
  const finish = Promise.withResolvers<void>()
  revoking = vi.fn(() => finish.promise)
  const joining = consumer.join({ t: [0] })
  consumer.emit('CRASH', { error: new Error('broker away'), restart: true })
  const again = consumer.hooks?.beforeJoin(consumer.group)
  finish.resolve()
  await Promise.all([joining, again])
  expect(revoking).toHaveBeenCalledOnce()
})

test('waits for heartbeats end when revoking begins', async () => {
  await start()
  const accepted = stream(0).heartbeatAccepted(never)
  const ended = expect(accepted).rejects.toThrow(/rebalancing/)
  await consumer.join({ t: [0] })
  await ended
})

test('heartbeats of the running generation are passed on', async () => {
  await start()
  const accepted = stream(0).heartbeatAccepted(never)
  consumer.emit('HEARTBEAT', {})
  consumer.emit('HEARTBEAT', {})
  await expect(accepted).resolves.toBeUndefined()
})

test('an offset out of range is an error of its stream', async () => {
  await start()
  stream(0).seek(3)
  const taken = expect(stream(0).take(1, never)).rejects.toMatchObject({ code: 'OFFSET_BELOW_LOG' })
  consumer.hooks?.offsetOutOfRange('t', 0)
  await taken
})

test('a crash that the client recovers from revokes at once; the restart is the next generation', async () => {
  await start()
  consumer.emit('CRASH', { error: new Error('broker away'), restart: true })
  expect(revoking).toHaveBeenCalledOnce()
  await clock.advance(0)
  expect(stream(0).ended.aborted).toBe(true)
  expect(crashed).not.toHaveBeenCalled()
  await consumer.join({ t: [0] })
  expect(assignments.length).toBe(2)
  expect(revoking).toHaveBeenCalledOnce()
})

test('any other crash is final: the streams end and the handler is told why', async () => {
  await start()
  const cause = new Error('codec')
  consumer.emit('CRASH', { error: cause, restart: false })
  expect(stream(0).ended.aborted).toBe(true)
  expect(crashed).toHaveBeenCalledExactlyOnceWith(
    expect.objectContaining({
      code: 'KAFKA_CONSUMER_CRASHED',
      message: expect.stringMatching(/group g .*codec/),
      cause,
    }),
  )
})

test('a crash before the first join fails the start', async () => {
  consumer.joins = false
  const starting = expect(start()).rejects.toMatchObject({ code: 'KAFKA_CONSUMER_CRASHED' })
  await clock.advance(0)
  consumer.emit('CRASH', { error: new Error('no'), restart: false })
  await starting
})

test('stopping revokes, leaves once, and is not undone by a restart or a late join', async () => {
  await start()
  expect(await consumer.config.retry?.restartOnFailure?.()).toBe(true)
  await Promise.all([source.stop(), source.stop()])
  expect(revoking).toHaveBeenCalledOnce()
  expect(consumer.calls.filter((call) => call === 'disconnect')).toHaveLength(1)
  expect(stream(0).ended.aborted).toBe(true)
  expect(await consumer.config.retry?.restartOnFailure?.()).toBe(false)
  await consumer.join({ t: [0] })
  consumer.emit('CRASH', { error: new Error('late'), restart: false })
  expect(assignments.length).toBe(1)
  expect(crashed).not.toHaveBeenCalled()
})

test('a broker that does not answer cannot hold up stopping', async () => {
  await start()
  consumer.disconnecting = new Promise(() => {})
  const stopping = source.stop()
  await clock.advance(10_000)
  await expect(stopping).resolves.toBeUndefined()
})

test('a source that is stopped before it joined does not wait for ever', async () => {
  consumer.joins = false
  const starting = expect(start()).rejects.toThrow(/stopped/)
  await source.stop()
  await starting
})

test('a revoke deadline that outlasts the rebalance is refused', () => {
  const client = { plan, consumer: () => consumer } as unknown as KafkaClient
  const options = { revokeDeadlineMs: 60_000, rebalanceTimeoutMs: 60_000 }
  const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
  expect(() => openKafkaSource({ client, plan, topics: [], options, clock, log })).toThrow(
    /rebalanceTimeoutMs/,
  )
})
