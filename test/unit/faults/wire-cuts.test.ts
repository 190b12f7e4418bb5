import { expect, test } from 'vitest'
import { isListening } from '../../faults/wire/listener.ts'
import { TestClient } from './echo-broker.ts'
import { api, seen, setUp, until } from './wire-setup.ts'

const { produce } = api

test('through a black hole nothing passes; what was sent arrives when it heals, from the dead too', async () => {
  const { broker, wire, client } = await setUp()
  client.send(produce, 1)
  await client.replies.of(1)
  wire.cut('blackHole')
  client.send(produce, 2)
  const dead = new TestClient(wire.port)
  dead.send(produce, 3)
  await seen(wire, 'Produce', 3)
  dead.leave()
  expect(broker.received.items).toEqual(['Produce 1'])
  wire.cut(null)
  expect(await client.replies.of(2)).toEqual([1, 2])
  expect((await broker.received.of(3)).toSorted()).toEqual(['Produce 1', 'Produce 2', 'Produce 3'])
})

test('a half-open connection is gone at the server, silent at the client, and reset when it heals', async () => {
  const { broker, wire, client } = await setUp()
  client.send(produce, 1)
  await client.replies.of(1)
  wire.cut('halfOpen')
  await broker.ended.of(1)
  const late = new TestClient(wire.port)
  for (const one of [client, late]) one.send(produce, 2)
  await until(() => wire.connections === 2)
  wire.cut(null)
  expect(await Promise.all([client.closed, late.closed])).toEqual(['ECONNRESET', 'ECONNRESET'])
  expect(broker.received.items).toEqual(['Produce 1'])
  await until(() => wire.connections === 0)
})

test('a wire that is reset refuses everybody until it heals', async () => {
  const { wire, client } = await setUp()
  client.send(produce, 1)
  await client.replies.of(1)
  wire.cut('reset')
  const late = new TestClient(wire.port)
  expect(await Promise.all([client.closed, late.closed])).toEqual(['ECONNRESET', 'ECONNRESET'])
  wire.cut(null)
  const next = new TestClient(wire.port)
  next.send(produce, 2)
  expect(await next.replies.of(1)).toEqual([2])
})

test('a server that is down refuses its clients, and its successor serves new ones', async () => {
  const { broker, wire, client } = await setUp()
  client.send(produce, 1)
  await client.replies.of(1)
  await wire.retarget(null)
  expect(await new TestClient(wire.port).closed).toBe('ECONNREFUSED')
  await wire.retarget(broker.port)
  const next = new TestClient(wire.port)
  next.send(produce, 2)
  expect(await next.replies.of(1)).toEqual([2])
})

test('a server that ends by itself refuses from the moment its clients learn of it, until it is back', async () => {
  const { broker, wire, client } = await setUp()
  client.send(produce, 1)
  await client.replies.of(1)
  broker.stop()
  expect(await client.closed).toBe('end')
  expect(await new TestClient(wire.port).closed).toBe('ECONNREFUSED')
  await broker.start()
  await until(() => isListening(wire.port))
  const next = new TestClient(wire.port)
  next.send(produce, 2)
  expect(await next.replies.of(1)).toEqual([2])
})

test('the end of the server is the end of its clients, after all that it had answered', async () => {
  const { broker, wire, client } = await setUp()
  wire.shape({ latencyMs: 30 })
  client.send(produce, 1)
  await broker.received.of(1)
  for (const socket of broker.sockets) socket.end()
  expect(await client.closed).toBe('end')
  expect(client.replies.items).toEqual([1])
})

test('a reset by the server is one for its clients', async () => {
  const { broker, client } = await setUp()
  client.send(produce, 1)
  await client.replies.of(1)
  for (const socket of broker.sockets) socket.resetAndDestroy()
  expect(await client.closed).toBe('ECONNRESET')
})
