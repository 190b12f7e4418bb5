import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../../src/time/system-clock.ts'
import { openKafkaWire, openRedisWire, ruleOn } from '../../faults/wire/proxy.ts'
import { Growing, TestClient } from './echo-broker.ts'
import { api, setUp, until } from './wire-setup.ts'

const { produce, fetch, endTxn } = api

test('a wire without rules passes everything and counts it', async () => {
  const { broker, wire, client } = await setUp()
  client.send(produce, 1)
  client.send(endTxn, 2)
  expect(await client.replies.of(2)).toEqual([1, 2])
  expect(broker.received.items).toEqual(['Produce 1', 'EndTxn 2'])
  expect([wire.seen('Produce'), wire.seen('EndTxn'), wire.seen('Fetch')]).toEqual([1, 1, 0])
})

test('a large message survives latency, jitter, slices and a narrow line in one piece', async () => {
  const { wire, client } = await setUp({ seed: 5 })
  wire.shape({ latencyMs: 5, jitterMs: 5, sliceBytes: 700, bytesPerSecond: 2_000_000 })
  client.send(produce, 1, Buffer.alloc(200_000, 7))
  client.send(produce, 2)
  expect(await client.replies.of(2)).toEqual([1, 2])
  expect(wire.problems).toEqual([])
})

test('latency counts once per direction, however much is on its way', async () => {
  const { wire, client } = await setUp()
  client.send(fetch, 0)
  await client.replies.of(1)
  wire.shape({ latencyMs: 100 })
  const startedAt = systemClock.monotonic()
  for (let id = 1; id <= 20; id++) client.send(fetch, id)
  await client.replies.of(21)
  const tookMs = systemClock.monotonic() - startedAt
  expect(tookMs).toBeGreaterThanOrEqual(199)
  expect(tookMs).toBeLessThan(20 * 100)
})

test('a narrow line takes as long as its bytes', async () => {
  const { wire, client } = await setUp()
  wire.shape({ bytesPerSecond: 100_000 })
  const startedAt = systemClock.monotonic()
  client.send(produce, 1, Buffer.alloc(20_000))
  await client.replies.of(1)
  expect(systemClock.monotonic() - startedAt).toBeGreaterThanOrEqual(195)
})

test('a dropped request never arrives; those behind it do', async () => {
  const { broker, wire, client } = await setUp()
  const handle = wire.rule({ on: 'Produce', at: 'request', action: { kind: 'drop' }, times: 1 })
  for (const id of [1, 2]) client.send(produce, id)
  expect(await client.replies.of(1)).toEqual([2])
  expect(broker.received.items).toEqual(['Produce 2'])
  expect(handle.hits).toBe(1)
})

test.each(['forwarded', 'reply'] as const)('dropped at %s, a request arrives without a reply', async (at) => {
  const { broker, wire, client } = await setUp()
  wire.rule({ on: 'Produce', at, action: { kind: 'drop' }, nth: 1 })
  for (const id of [1, 2]) client.send(produce, id)
  expect(await client.replies.of(1)).toEqual([2])
  expect(broker.received.items).toEqual(['Produce 1', 'Produce 2'])
})

test('a delay holds up what is behind it, and nothing overtakes it', async () => {
  const { broker, wire, client } = await setUp()
  const startedAt = systemClock.monotonic()
  wire.rule({ on: 'EndTxn', at: 'request', action: { kind: 'delay', ms: 100 } })
  client.send(endTxn, 1)
  client.send(produce, 2)
  expect(await client.replies.of(2)).toEqual([1, 2])
  expect(broker.received.items).toEqual(['EndTxn 1', 'Produce 2'])
  expect(systemClock.monotonic() - startedAt).toBeGreaterThanOrEqual(99)
})

test('a request that may be overtaken arrives after those sent later, its client gone or not', async () => {
  const { broker, wire, client } = await setUp()
  const release = Promise.withResolvers<void>()
  const action = { kind: 'hold', until: release.promise, overtake: true } as const
  wire.rule({ on: 'Produce', at: 'request', action, nth: 1 })
  client.send(produce, 1)
  client.send(endTxn, 2)
  expect(await client.replies.of(1)).toEqual([2])
  client.leave()
  const other = new TestClient(wire.port)
  other.send(produce, 3)
  await other.replies.of(1)
  release.resolve()
  expect(await broker.received.of(3)).toEqual(['EndTxn 2', 'Produce 3', 'Produce 1'])
})

test('a held request reaches the server although its client has gone, on the old connection', async () => {
  const { broker, wire, client } = await setUp()
  const release = Promise.withResolvers<void>()
  const handle = wire.rule({
    on: 'Produce',
    at: 'request',
    action: { kind: 'hold', until: release.promise },
    nth: 1,
  })
  client.send(produce, 1)
  await handle.hit
  client.leave()
  const next = new TestClient(wire.port)
  next.send(produce, 2)
  await next.replies.of(1)
  expect(broker.ended.items).toHaveLength(0)
  release.resolve()
  expect(await broker.received.of(2)).toEqual(['Produce 2', 'Produce 1'])
  await broker.ended.of(1) // once answered
})

test('the end of a client is kept from a server that still has to answer it', async () => {
  const { broker, wire, client } = await setUp()
  const { promise, resolve } = Promise.withResolvers<void>()
  broker.answering = promise
  client.send(produce, 1)
  await broker.received.of(1)
  client.leave()
  const ended = new Growing<unknown>()
  for (const socket of broker.sockets) socket.once('end', () => ended.add(socket))
  broker.answering = Promise.resolve()
  const other = new TestClient(wire.port)
  other.send(produce, 2)
  await other.replies.of(1)
  expect(ended.items).toHaveLength(0)
  resolve()
  await ended.of(1)
})

test('a call is awaited between the request and its reply, and is given the reply at the end', async () => {
  const { broker, wire, client } = await setUp()
  const steps: string[] = []
  const atForwarded = Promise.withResolvers<void>()
  const run = async (): Promise<void> => {
    await atForwarded.promise
    steps.push('forwarded')
  }
  wire.rule({ on: 'EndTxn', at: 'forwarded', action: { kind: 'call', run } })
  wire.rule({
    on: 'EndTxn',
    at: 'reply',
    action: { kind: 'call', run: (_, reply) => steps.push(`reply ${reply?.readInt32BE(4)}`) },
  })
  client.send(endTxn, 1)
  await broker.received.of(1)
  const other = new TestClient(wire.port)
  other.send(produce, 2)
  await other.replies.of(1) // time enough for the reply
  expect(client.replies.items).toEqual([])
  atForwarded.resolve()
  await client.replies.of(1)
  expect(steps).toEqual(['forwarded', 'reply 1'])
})

test('a call that throws loses the message and is told', async () => {
  const { wire, client } = await setUp()
  const failure = new Error('no')
  const action = { kind: 'call', run: () => Promise.reject(failure) } as const
  wire.rule({ on: 'EndTxn', at: 'request', action })
  client.send(endTxn, 1)
  client.send(produce, 2)
  expect(await client.replies.of(1)).toEqual([2])
  expect(wire.problems).toEqual([failure])
})

test('reset at a request keeps it from the server; after it was forwarded, the server has it', async () => {
  const { broker, wire, client } = await setUp()
  const handle = wire.rule({ on: 'Produce', at: 'request', action: { kind: 'reset' } })
  client.send(produce, 1)
  expect(await client.closed).toBe('ECONNRESET')
  handle.remove()
  wire.rule({ on: 'Produce', at: 'forwarded', action: { kind: 'reset' } })
  const next = new TestClient(wire.port)
  next.send(produce, 2)
  expect(await next.closed).toBe('ECONNRESET')
  expect(await broker.received.of(1)).toEqual(['Produce 2'])
})

test('a rule on several wires counts over all of them', async () => {
  const { broker, wire, client } = await setUp()
  const other = await openKafkaWire(broker.port)
  onTestFinished(() => other.close())
  const handle = ruleOn([wire, other], { on: 'EndTxn', at: 'request', action: { kind: 'drop' }, nth: 2 })
  client.send(endTxn, 1)
  await client.replies.of(1)
  const second = new TestClient(other.port)
  second.send(endTxn, 2)
  second.send(endTxn, 3)
  expect(await second.replies.of(1)).toEqual([3])
  expect(handle.hits).toBe(1)
})

test('the same seed drops the same requests', async () => {
  const survivors = async (seed: number): Promise<readonly number[]> => {
    const { broker, wire, client } = await setUp({ seed })
    wire.rule({ on: 'Fetch', at: 'request', action: { kind: 'drop' }, probability: 0.5 })
    for (let id = 1; id <= 30; id++) client.send(fetch, id)
    client.send(produce, 99)
    await until(() => broker.received.items.includes('Produce 99'))
    return [...(await client.replies.of(broker.received.items.length))]
  }
  const first = await survivors(1)
  expect(await survivors(1)).toEqual(first)
  expect(await survivors(2)).not.toEqual(first)
})

test('what is not Kafka ends the connection and is told', async () => {
  const { wire, client } = await setUp()
  client.write(Buffer.from('GET / HTTP/1.1\r\n\r\n'))
  expect(await client.closed).toBe('ECONNRESET')
  expect(wire.problems.map(String)).toEqual([expect.stringContaining('not the Kafka protocol')])
})

test('a request that the client did not finish arrives as far as it came', async () => {
  const { broker, client } = await setUp()
  client.send(produce, 1)
  await client.replies.of(1)
  client.write(Buffer.from([0, 0, 0, 30, 0]))
  client.end()
  const [socket] = await broker.ended.of(1)
  expect(socket?.bytesRead).toBe(14 + 5)
})

test('with Redis, a lost message takes all behind it along, and nothing overtakes', async () => {
  const lines = new Growing<string>()
  const server = createServer((socket) => {
    socket.on('data', (chunk) => {
      for (const line of chunk.toString().match(/.+\r\n/g) ?? []) {
        lines.add(line.trim())
        socket.write(`+${line}`)
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const wire = await openRedisWire((server.address() as AddressInfo).port)
  onTestFinished(async () => {
    await wire.close()
    server.close()
  })
  const action = { kind: 'drop' } as const
  wire.rule({ on: 'A', at: 'request', action, nth: 1 })
  wire.rule({ on: 'B', at: 'reply', action, nth: 1 })
  const replies = [['A', 'C'], ['B', 'C'], ['C']].map(async (commands, index) => {
    const client = connect(wire.port, '127.0.0.1')
    const replies: string[] = []
    client.on('data', (chunk) => replies.push(chunk.toString()))
    client.write(commands.map((command) => `${command} ${index}\r\n`).join(''))
    await until(() => wire.seen(commands.at(-1) ?? '') > 0 && lines.items.includes('C 2'))
    client.end()
    await once(client, 'close')
    return replies.join('')
  })
  expect(await Promise.all(replies)).toEqual(['', '', '+C 2\r\n'])
  expect(lines.items.toSorted()).toEqual(['B 1', 'C 1', 'C 2'])
  expect(() =>
    wire.rule({ on: 'A', at: 'request', action: { kind: 'delay', ms: 1, overtake: true } }),
  ).toThrow(RangeError)
})

test('a cleared wire is plain again', async () => {
  const { wire, client } = await setUp()
  wire.rule({ on: '*', at: 'request', action: { kind: 'drop' } })
  wire.shape({ latencyMs: 60_000 })
  wire.cut('blackHole')
  wire.clear()
  client.send(produce, 1)
  expect(await client.replies.of(1)).toEqual([1])
})

test('closing ends every connection and every wait', async () => {
  const { broker, wire, client } = await setUp()
  const never = new Promise<void>(() => {})
  const handle = wire.rule({ on: 'Produce', at: 'request', action: { kind: 'hold', until: never } })
  client.send(produce, 1)
  await handle.hit
  wire.cut('blackHole')
  await wire.close()
  await client.closed
  await broker.ended.of(1)
  expect(wire.connections).toBe(0)
  expect(wire.problems).toEqual([])
})
