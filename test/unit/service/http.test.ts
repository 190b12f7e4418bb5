import { Registry, Gauge } from 'prom-client'
import { afterEach, describe, expect, test } from 'vitest'
import { MillraceError } from '../../../src/errors.ts'
import { openHttp, parseHttpAddress, type HttpOptions, type HttpServer } from '../../../src/service/http.ts'

const open: HttpServer[] = []
afterEach(async () => {
  for (const server of open.splice(0)) await server.close()
})

async function serve(
  options: Partial<HttpOptions> = {},
): Promise<{ server: HttpServer; get: (path: string, init?: RequestInit) => Promise<Response> }> {
  const fine = () => ({ ok: true, detail: 'fine' })
  const server = await openHttp({
    host: '127.0.0.1',
    port: 0,
    health: { live: fine, ready: fine, started: fine },
    registry: new Registry(),
    ...options,
  })
  open.push(server)
  return { server, get: (path, init) => fetch(`http://127.0.0.1:${server.port}${path}`, init) }
}

describe('probes', () => {
  test('each asks its own question: 200 when it holds, 503 with the reason when not', async () => {
    const { get } = await serve({
      health: {
        live: () => ({ ok: true, detail: 'loop turned 40 ms ago' }),
        ready: () => ({ ok: false, detail: 'Redis has not answered for 3 s' }),
        started: () => ({ ok: true, detail: 'joined' }),
      },
    })
    const answers = await Promise.all(['/livez', '/readyz', '/startupz'].map((path) => get(path)))
    expect(answers.map(({ status }) => status)).toEqual([200, 503, 200])
    expect(await answers[1]!.json()).toEqual({ ok: false, detail: 'Redis has not answered for 3 s' })
    expect(answers[0]!.headers.get('cache-control')).toBe('no-store')
  })

  test('anything else is 404', async () => {
    const { get } = await serve()
    expect((await get('/config')).status).toBe(404)
    expect((await get('/metrics/kafka-exporter')).status).toBe(404)
  })

  test('a large body is refused', async () => {
    const { get } = await serve()
    const answer = await get('/livez', { method: 'POST', body: 'x'.repeat(5000) })
    expect(answer.status).toBeGreaterThanOrEqual(400)
  })
})

describe('metrics', () => {
  test('gauges computed on demand are set before the scrape', async () => {
    const registry = new Registry()
    const gauge = new Gauge({ name: 'g', help: 'G.', registers: [registry] })
    const { get } = await serve({ registry, beforeScrape: () => gauge.inc() })
    await get('/metrics')
    const answer = await get('/metrics')
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(await answer.text()).toContain('g 2')
  })

  test('come in OpenMetrics when asked', async () => {
    const { get } = await serve()
    const answer = await get('/metrics', { headers: { accept: 'application/openmetrics-text' } })
    expect(answer.headers.get('content-type')).toContain('application/openmetrics-text')
    expect(await answer.text()).toMatch(/# EOF\n$/)
  })

  test('the compatibility page is there only when switched on', async () => {
    const { get } = await serve({ compatibility: () => Promise.resolve('kafka_consumergroup_lag 1\n') })
    expect(await (await get('/metrics/kafka-exporter')).text()).toBe('kafka_consumergroup_lag 1\n')
  })
})

describe('opening and closing', () => {
  test('a taken port says which, why and what to do', async () => {
    const { server } = await serve()
    const error: unknown = await serve({ port: server.port }).catch((failure: unknown) => failure)
    expect(error).toBeInstanceOf(MillraceError)
    expect(error).toMatchObject({
      code: 'USAGE',
      message: `Cannot serve metrics and probes on 127.0.0.1:${server.port}: another process has this port. Stop it, or choose another address with --http HOST:PORT.`,
    })
  })

  test('after close the port is free, even with a kept-alive connection', async () => {
    const { server, get } = await serve()
    await (await get('/livez')).text()
    await server.close()
    const again = await serve({ port: server.port })
    expect(again.server.port).toBe(server.port)
  })
})

test('a scrape under way does not hold the shutdown', async () => {
  const entered = Promise.withResolvers<void>()
  const { server, get } = await serve({
    beforeScrape: () => {
      entered.resolve()
      return new Promise(() => undefined)
    },
  })
  const scrape = get('/metrics').then(
    () => 'answered',
    () => 'cut off',
  )
  await entered.promise
  await server.close()
  expect(await scrape).toBe('cut off')
})

describe('the address option', () => {
  test.each([
    ['9000', { host: '127.0.0.1', port: 9000 }],
    [':9000', { host: '127.0.0.1', port: 9000 }],
    ['0.0.0.0:9000', { host: '0.0.0.0', port: 9000 }],
    ['[::1]:0', { host: '::1', port: 0 }],
    ['off', null],
  ])('%s', (text, address) => {
    expect(parseHttpAddress(text)).toEqual(address)
  })

  test.each(['', 'host', 'host:', '1.2.3.4:70000', 'a:b:1'])('refuses %j', (text) => {
    expect(() => parseHttpAddress(text)).toThrow(/is no HTTP address/)
  })
})
