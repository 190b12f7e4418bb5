import { createServer, type Server } from 'node:http'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openRegistry, type Registry } from '../../../src/registry/registry.ts'

interface Reply {
  readonly status?: number
  /** Null: never answers. */
  readonly body: unknown
}

/** Answers by path; keeps what was asked. */
let server: Server
let url: string
let replies: Record<string, Reply>
let asked: { path: string; authorization: string | undefined }[]

beforeEach(async () => {
  replies = {}
  asked = []
  server = createServer((request, response) => {
    const path = request.url ?? ''
    asked.push({ path, authorization: request.headers.authorization })
    const reply = replies[path] ?? { status: 404, body: { error_code: 40403, message: 'Schema not found' } }
    if (reply.body === null) return
    response.statusCode = reply.status ?? 200
    response.end(typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  url = `http://127.0.0.1:${address.port}/apis/ccompat/v7`
})

afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

const { signal } = new AbortController()
const byId = '/apis/ccompat/v7/schemas/ids/7'
const record = { type: 'record', name: 'A', fields: [{ name: 'x', type: 'int', default: 1 }] }

function open(): Registry {
  return openRegistry({ url: `${url}/`, requestTimeoutMs: 100 })
}

describe('a schema by id', () => {
  test('is given as text, with defaults', async () => {
    replies[byId] = { body: { schema: JSON.stringify(record) } }
    const found = await open().writerSchema(7, signal)
    expect(found).toMatchObject({ kind: 'avro', id: 7 })
    expect(JSON.parse((found as { schema: string }).schema)).toEqual(record)
  })

  test('is given as it was registered, wrong defaults and all: reading needs none of them', async () => {
    const schema = JSON.stringify({
      ...record,
      fields: [{ name: 'x', type: ['string', 'null'], default: null }],
    })
    replies[byId] = { body: { schema } }
    expect(await open().writerSchema(7, signal)).toEqual({ kind: 'avro', id: 7, schema })
  })

  test('of JSON is given as such', async () => {
    replies[byId] = { body: { schemaType: 'JSON', schema: '{"type":"object"}' } }
    expect(await open().writerSchema(7, signal)).toEqual({ kind: 'json', id: 7, schema: '{"type":"object"}' })
  })

  test('comes with the schemas it names, each behind those it names itself', async () => {
    const reference = (subject: string, version: number) => ({ name: subject, subject, version })
    const at = (subject: string, version: number) =>
      `/apis/ccompat/v7/subjects/${subject}/versions/${version}`
    replies[byId] = { body: { schema: '"A"', references: [reference('a', 1), reference('b', 2)] } }
    replies[at('a', 1)] = { body: { schema: '"first"', references: [reference('b', 2)] } }
    replies[at('b', 2)] = { body: { schema: '"second"' } }
    expect(await open().writerSchema(7, signal)).toEqual({
      kind: 'avro',
      id: 7,
      schema: '"A"',
      references: ['"second"', '"first"'],
    })
  })

  test('that names a schema which does not exist is not known yet', async () => {
    replies[byId] = { body: { schema: '"A"', references: [{ name: 'a', subject: 'a', version: 1 }] } }
    expect(await open().writerSchema(7, signal)).toBeNull()
  })

  test('is asked for every time: callers keep what they need', async () => {
    replies[byId] = { body: { schema: JSON.stringify(record) } }
    const registry = open()
    await registry.writerSchema(7, signal)
    await registry.writerSchema(7, signal)
    expect(asked.length).toBe(2)
  })

  test('that does not exist is null', async () => {
    expect(await open().writerSchema(7, signal)).toBeNull()
  })

  test.each([
    [
      'of Protobuf',
      { schemaType: 'PROTOBUF', schema: 'syntax = "proto3";' },
      'it is Protobuf, which millrace does not read',
    ],
    ['of another format', { schemaType: 'XSD', schema: '<x/>' }, 'it is XSD'],
  ])('%s is unusable, which no waiting will mend', async (_, body, why) => {
    replies[byId] = { body }
    expect(await open().writerSchema(7, signal)).toEqual({
      kind: 'unusable',
      id: 7,
      why: expect.stringContaining(why) as string,
    })
  })

  test.each<[string, Reply]>([
    ['fails', { status: 500, body: { message: 'broken' } }],
    ['is busy', { status: 429, body: { message: 'slow down' } }],
    ['is a proxy with a page of its own', { body: '<html>login</html>' }],
    ['is another service', { body: { hello: 'world' } }],
    ['does not know the address at all', { status: 404, body: '<html>not here</html>' }],
    ['never answers', { body: null }],
  ])('is trouble to retry when the registry %s', async (_, reply) => {
    replies[byId] = reply
    await expect(open().writerSchema(7, signal)).rejects.toMatchObject({
      code: 'REGISTRY_UNREACHABLE',
      message: expect.stringContaining(url) as string,
    })
    expect(asked.length).toBe(1) // when to ask again is the caller's decision
  })

  test('is trouble to retry when nobody listens', async () => {
    const registry = open()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    await expect(registry.writerSchema(7, signal)).rejects.toMatchObject({ code: 'REGISTRY_UNREACHABLE' })
  })

  test.each([401, 403])('is trouble to stop for when the registry says %d', async (status) => {
    replies[byId] = { status, body: { message: 'no' } }
    await expect(open().writerSchema(7, signal)).rejects.toMatchObject({ code: 'REGISTRY_UNAUTHORISED' })
  })

  test('is no longer waited for when the signal says so', async () => {
    replies[byId] = { body: null }
    const controller = new AbortController()
    const asking = open().writerSchema(7, controller.signal)
    controller.abort(new Error('stopping'))
    await expect(asking).rejects.toThrow('stopping')
  })
})

describe('the newest schema of a subject', () => {
  const latest = '/apis/ccompat/v7/subjects/card.alerts-value/versions/latest'

  test('is found by name', async () => {
    replies[latest] = { body: { id: 7, version: 2, schema: JSON.stringify(record) } }
    replies[byId] = { body: { schema: JSON.stringify(record) } }
    const registry = open()
    expect(await registry.latestId('card.alerts-value', signal)).toBe(7)
    expect(await registry.schemaFor('card.alerts-value', signal)).toMatchObject({ kind: 'avro', id: 7 })
  })

  test('is null when there is no such subject', async () => {
    expect(await open().latestId('card.alerts-value', signal)).toBeNull()
    expect(await open().schemaFor('card.alerts-value', signal)).toBeNull()
  })
})

describe('the address of a registry', () => {
  test('may hold credentials, which are sent but never shown', async () => {
    const registry = openRegistry({ url: url.replace('//', '//reader:s%2Fcret@') })
    await registry.writerSchema(7, signal)
    expect(asked[0]?.authorization).toBe(`Basic ${Buffer.from('reader:s/cret').toString('base64')}`)
    expect(registry.url).toBe(url)
  })

  test('is refused when it is none', () => {
    expect(() => openRegistry({ url: 'not an address' })).toThrow('registry.url')
  })
})
