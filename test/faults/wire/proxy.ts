import type { Socket } from 'node:net'
import { createRandom } from '../../../src/simulator/random.ts'
import { systemClock } from '../../../src/time/system-clock.ts'
import { stablePorts } from '../servers/stable-ports.ts'
import { Connection, type Switchboard } from './connection.ts'
import { rawDialect, type Dialect } from './dialect.ts'
import { kafkaDialect } from './kafka-dialect.ts'
import { Link, type Shape } from './line.ts'
import { isListening, Listener } from './listener.ts'
import { redisDialect } from './redis-dialect.ts'
import { ArmedRule, overtakes, type RuleHandle, type WireRule } from './rules.ts'

export type { Shape } from './line.ts'
export type { WireRequest } from './dialect.ts'
export type { RuleAction, RuleHandle, RulePoint, WireRule } from './rules.ts'

/**
 * reset: connections get RST, new ones too. blackHole: connections stay and nothing passes; what was sent arrives when
 * it heals, also from clients that have gone. halfOpen: the server's ends are gone, the clients hear nothing, and get
 * RST when it heals.
 */
export type Cut = 'reset' | 'blackHole' | 'halfOpen'

/** One proxied path: from one service process to one server. */
export interface Wire extends AsyncDisposable {
  /** On 127.0.0.1; the same for life. */
  readonly port: number
  /** Connections of clients, those included whose client is gone and whose requests are still on their way. */
  readonly connections: number
  /** What should not have happened: broken framing, a rule's call that threw. */
  readonly problems: readonly unknown[]
  /** Requests by name that came in so far. */
  seen(name: string): number
  rule(rule: WireRule): RuleHandle
  /** Replaces the shape; null is a plain line. */
  shape(shape: Shape | null): void
  /** Present and future connections; null heals. */
  cut(how: Cut | null): void
  /** No rules, a plain line, nothing cut: for the next test. What is held stays held. */
  clear(): void
  /**
   * Where new connections go: a port on 127.0.0.1; null refuses them. They are also refused by themselves while nobody
   * listens there: clients tell ECONNREFUSED from ECONNRESET.
   */
  retarget(port: number | null): Promise<void>
  close(): Promise<void>
}

export interface WireOptions {
  /** Fixes probabilities, jitter and the sizes of slices. */
  readonly seed?: number
  /** Of the proxy itself; free when left out. */
  readonly port?: number
}

export function openKafkaWire(targetPort: number | null, options: WireOptions = {}): Promise<Wire> {
  return openWire(kafkaDialect, targetPort, options)
}

/** With `scripts` (name to Lua source), rules may name scripts. */
export function openRedisWire(
  targetPort: number | null,
  options: WireOptions & { readonly scripts?: ReadonlyMap<string, string> } = {},
): Promise<Wire> {
  return openWire(redisDialect(options.scripts), targetPort, options)
}

/** For any other protocol: each chunk is a request, or a reply, named 'raw'. */
export function openRawWire(targetPort: number | null, options: WireOptions = {}): Promise<Wire> {
  return openWire(rawDialect, targetPort, options)
}

/** One rule on several wires: matches are counted over all of them. */
export function ruleOn(wires: readonly Wire[], rule: WireRule): RuleHandle {
  const proxies = wires.map((wire) => {
    if (wire instanceof TcpProxy) return wire
    throw new TypeError('a wire that openWire did not open')
  })
  const [first] = proxies
  if (first === undefined) throw new RangeError('a rule on no wire')
  const armed = new ArmedRule(rule, createRandom(first.nextSeed()))
  for (const proxy of proxies) proxy.arm(armed)
  return armed
}

async function openWire(
  dialect: Dialect,
  targetPort: number | null,
  { seed = 0, port }: WireOptions,
): Promise<Wire> {
  const proxy = new TcpProxy(dialect, port ?? (await stablePorts(1))[0] ?? 0, seed)
  await proxy.retarget(targetPort)
  return proxy
}

const lookEveryMs = 20

class TcpProxy implements Wire, Switchboard {
  readonly dialect: Dialect
  readonly link: Link
  readonly problems: unknown[] = []
  readonly #closing = new AbortController()
  readonly #listener: Listener
  readonly #connections = new Set<Connection>()
  /** Clients of connections that never had a server. */
  readonly #stranded = new Set<Socket>()
  readonly #seen = new Map<string, number>()
  readonly #rules = new Set<ArmedRule>()
  #target: number | null = null
  #isLooking = false
  #cut: Cut | null = null
  #nextSeed: number

  constructor(dialect: Dialect, port: number, seed: number) {
    this.dialect = dialect
    this.#nextSeed = seed
    this.link = new Link(createRandom(this.nextSeed()), this.#closing.signal)
    this.#listener = new Listener(port, (client) => this.#accept(client))
  }

  get port(): number {
    return this.#listener.port
  }

  get connections(): number {
    return this.#connections.size + this.#stranded.size
  }

  seen(name: string): number {
    return this.#seen.get(name) ?? 0
  }

  rule(rule: WireRule): RuleHandle {
    return ruleOn([this], rule)
  }

  arm(rule: ArmedRule): void {
    if (this.dialect.isOrdered && overtakes(rule))
      throw new RangeError('Nothing overtakes on a connection whose replies are known by their order.')
    this.#rules.add(rule)
  }

  /** Each rule draws from its own stream, so one rule's matches do not change what another does. */
  nextSeed(): number {
    return this.#nextSeed++
  }

  shape(shape: Shape | null): void {
    this.link.shape = shape ?? {}
  }

  cut(how: Cut | null): void {
    this.#cut = how
    if (how !== 'halfOpen') this.#heal()
    if (how === 'blackHole') this.link.shut()
    else this.link.open()
    for (const connection of this.#connections) {
      if (how === 'reset') connection.reset()
      if (how === 'halfOpen') connection.leaveHalfOpen()
    }
  }

  clear(): void {
    for (const rule of this.#rules) rule.remove()
    this.#rules.clear()
    this.shape(null)
    this.cut(null)
  }

  async retarget(port: number | null): Promise<void> {
    this.#target = port
    if (port === null) this.#listener.shut()
    else await this.#listener.open()
  }

  async targetEnded(): Promise<void> {
    if (this.#isLooking || this.#target === null || (await isListening(this.#target))) return
    this.#listener.shut()
    if (!this.#isLooking) void this.#untilTargetListens()
  }

  async #untilTargetListens(): Promise<void> {
    this.#isLooking = true
    try {
      while (this.#target !== null && !(await isListening(this.#target)))
        await systemClock.sleep(lookEveryMs, this.#closing.signal)
      if (this.#target !== null && !this.#closing.signal.aborted) await this.#listener.open()
    } catch (error) {
      if (!this.#closing.signal.aborted) this.trouble(error)
    } finally {
      this.#isLooking = false
    }
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return
    this.#closing.abort()
    this.#listener.shut()
    for (const socket of this.#stranded) socket.destroy()
    for (const connection of this.#connections) connection.destroy()
    await Promise.all([...this.#connections].map(({ ended }) => ended))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  matching(...[point, names, request]: Parameters<Switchboard['matching']>): ArmedRule[] {
    if (point === 'request') for (const name of names) this.#seen.set(name, (this.#seen.get(name) ?? 0) + 1)
    return [...this.#rules].filter((rule) => rule.meets(point, names, request))
  }

  trouble(error: unknown): void {
    this.problems.push(error)
  }

  #accept(client: Socket): void {
    if (this.#cut === 'halfOpen') return this.#strand(client)
    if (this.#cut === 'reset' || this.#target === null) {
      client.on('error', () => {})
      return void client.resetAndDestroy()
    }
    const connection = new Connection(this, client, this.#target)
    this.#connections.add(connection)
    void connection.ended.then(() => this.#connections.delete(connection))
  }

  #strand(client: Socket): void {
    this.#stranded.add(client)
    client.on('error', () => {})
    client.once('close', () => this.#stranded.delete(client))
    client.once('end', () => client.end())
    client.resume()
  }

  #heal(): void {
    for (const socket of this.#stranded) socket.resetAndDestroy()
    for (const connection of this.#connections) connection.heal()
  }
}
