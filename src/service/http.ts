import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import type { Registry } from 'prom-client'
import { MillraceError } from '../errors.ts'
import { expose, prometheusType } from '../telemetry/exposition.ts'

/** What the probes ask. All three answer at once from what the service knows; they never call Kafka or Redis. */
export interface Health {
  /** Event loop and poll loop make progress (paused by back-pressure counts as progress). */
  live(): HealthReport
  /** Joined the group, models warm, Redis answered lately. */
  ready(): HealthReport
  /** Checked, models verified, joined once. */
  started(): HealthReport
}

export interface HealthReport {
  readonly ok: boolean
  /** One line for the person who looks; also when all is well. */
  readonly detail: string
}

export interface HttpOptions {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  readonly health: Health
  readonly registry: Registry
  /** Called before every scrape: sets the gauges that are computed when somebody asks. */
  readonly beforeScrape?: () => void | Promise<void>
  /** Text of the opt-in page with the names of the common lag exporters. */
  readonly compatibility?: () => Promise<string>
}

export interface HttpServer {
  readonly host: string
  readonly port: number
  close(): Promise<void>
}

/** A request is a probe or a scrape: anything slow or large is somebody else's. */
const requestTimeoutMs = 5_000
const bodyMaxBytes = 1_024
const connectionsMax = 64

/** Default of `--http`: this machine only; a container sets `0.0.0.0:PORT`. */
export const defaultHttpAddress = '127.0.0.1:9464'

/** `HOST:PORT`, `:PORT` or `PORT`; `[::1]:9464` for IPv6; `off` for none. */
export function parseHttpAddress(text: string): { host: string; port: number } | null {
  if (text === 'off') return null
  const match = /^(?:(\[[0-9a-f:.]+\]|[^:[\]]*):)?(\d{1,5})$/i.exec(text)
  const port = Number(match?.[2])
  if (!match || port > 65_535) {
    throw new MillraceError('USAGE', `\`${text}\` is no HTTP address; write HOST:PORT, PORT or off.`)
  }
  const host = (match[1] ?? '').replace(/^\[|\]$/g, '')
  return { host: host === '' ? '127.0.0.1' : host, port }
}

/** Serves the probes and metrics; throws USAGE when the address cannot be taken. */
export async function openHttp(options: HttpOptions): Promise<HttpServer> {
  const server = Fastify({
    logger: false,
    requestTimeout: requestTimeoutMs,
    connectionTimeout: requestTimeoutMs,
    bodyLimit: bodyMaxBytes,
    forceCloseConnections: true, // a scraper's kept-alive connection must not hold the shutdown
  })
  server.server.maxConnections = connectionsMax
  addProbes(server, options.health)
  addMetrics(server, options)
  try {
    await server.listen({ host: options.host, port: options.port })
  } catch (error) {
    await server.close()
    throw listenError(options, error)
  }
  const address = server.server.address()
  const port = typeof address === 'object' && address !== null ? address.port : options.port
  return { host: options.host, port, close: () => server.close() }
}

function addProbes(server: FastifyInstance, health: Health): void {
  const answer = (ask: () => HealthReport) => (_request: unknown, reply: FastifyReply) => {
    const { ok, detail } = ask()
    return reply
      .code(ok ? 200 : 503)
      .header('cache-control', 'no-store')
      .type('application/json')
      .send({ ok, detail })
  }
  server.get(
    '/livez',
    answer(() => health.live()),
  )
  server.get(
    '/readyz',
    answer(() => health.ready()),
  )
  server.get(
    '/startupz',
    answer(() => health.started()),
  )
}

function addMetrics(server: FastifyInstance, options: HttpOptions): void {
  server.get('/metrics', async (request, reply) => {
    await options.beforeScrape?.()
    const { contentType, body } = await expose(options.registry, request.headers.accept)
    return reply.header('content-type', contentType).send(body)
  })
  const { compatibility } = options
  if (!compatibility) return
  server.get('/metrics/kafka-exporter', async (_request, reply) => {
    const body = await compatibility()
    return reply.header('content-type', prometheusType).send(body)
  })
}

function listenError(options: HttpOptions, error: unknown): MillraceError {
  const address = `${options.host}:${options.port}`
  const { code } = error as { code?: unknown }
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: 'another process has this port. Stop it, or choose another address with --http HOST:PORT',
    EACCES: 'this user may not open this port. Choose one above 1023 with --http HOST:PORT',
    EADDRNOTAVAIL: 'this machine has no such address. Correct --http HOST:PORT',
    ENOTFOUND: 'this host name is unknown. Correct --http HOST:PORT',
  }
  const reason = reasons[String(code)] ?? `${String(error)}. Choose another address with --http HOST:PORT`
  return new MillraceError('USAGE', `Cannot serve metrics and probes on ${address}: ${reason}.`, {
    cause: error,
  })
}
