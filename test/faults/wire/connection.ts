import { connect, type Socket } from 'node:net'
import { systemClock } from '../../../src/time/system-clock.ts'
import type { Conversation, Dialect, WireReply, WireRequest } from './dialect.ts'
import { FramingError } from './dialect.ts'
import { Line, type Link } from './line.ts'
import { type ArmedRule, type Fate, type Message, overtakes, perform, type RulePoint } from './rules.ts'

/** What a connection asks its wire. */
export interface Switchboard {
  readonly link: Link
  readonly dialect: Dialect
  /** The rules that act on this message now. */
  matching(point: RulePoint, names: readonly string[], request: WireRequest): ArmedRule[]
  /** Told that the server ended a connection or took none, before the client is. */
  targetEnded(): Promise<void>
  /** Told what should not happen: broken framing, a rule's call that throws. */
  trouble(error: unknown): void
}

/** How long the server may take to answer what a client left behind when it went. */
const lingerMaxMs = 30_000

/**
 * One client's connection and the one to the server that belongs to it. Once a request came in, it goes to the server
 * even when its client is gone by then, as on a network that delivers late; its reply is then nobody's.
 */
export class Connection {
  /** Resolves when both sides are closed. */
  readonly ended: Promise<void>
  readonly #board: Switchboard
  readonly #client: Socket
  readonly #server: Socket
  readonly #up: Line
  readonly #down: Line
  readonly #conversation: Conversation
  readonly #aside = new Set<Promise<void>>()
  /** The rules at 'forwarded' of a request, at work or done. */
  readonly #forwarded = new WeakMap<WireRequest, Promise<Fate>>()
  #isHalfOpen = false
  #isDeaf = false // nothing more goes to the server
  #isMute = false // nothing more goes to the client
  #onReply: () => void = () => {}

  constructor(board: Switchboard, client: Socket, targetPort: number) {
    this.#board = board
    this.#client = client
    this.#server = connect({ host: '127.0.0.1', port: targetPort, allowHalfOpen: true, noDelay: true })
    this.#up = new Line(board.link, this.#server)
    this.#down = new Line(board.link, client)
    this.#conversation = board.dialect.converse()
    for (const socket of [client, this.#server]) socket.on('error', () => {}) // the loops see the end
    const upstream = this.#pump(client, (chunk) => this.#fromClient(chunk)).then(() => this.#clientEnded())
    const downstream = this.#pump(this.#server, (chunk) => this.#fromServer(chunk)).then(() =>
      this.#serverEnded(),
    )
    this.ended = Promise.allSettled([upstream, downstream]).then(() => this.destroy())
  }

  /** RST to the client, now. */
  reset(): void {
    this.#client.resetAndDestroy()
  }

  /** The server forgets the connection, the client hears nothing of it. */
  leaveHalfOpen(): void {
    this.#isHalfOpen = true
    this.#server.destroy()
  }

  /** What a half-open connection's client learns when packets flow again. */
  heal(): void {
    if (this.#isHalfOpen) this.reset()
  }

  destroy(): void {
    this.#client.destroy()
    this.#server.destroy()
  }

  // --- from the client to the server -------------------------------------------------------------------------------

  async #fromClient(chunk: Buffer): Promise<void> {
    if (this.#isHalfOpen || this.#isDeaf) return
    for (const request of this.#conversation.requests(chunk)) {
      const rules = this.#board.matching('request', request.names, request)
      const passed = this.#perform(rules, { request, reply: null }).then((fate) => this.#pass(request, fate))
      if (rules.some(overtakes)) this.#keepAside(passed)
      else await passed
      if (this.#isDeaf) return
    }
  }

  async #pass(request: WireRequest, fate: Fate): Promise<void> {
    if (fate === 'reset') this.reset()
    if (fate === 'drop' && this.#board.dialect.isOrdered) this.#isDeaf = true
    if (fate !== 'pass') return
    const stage = Promise.withResolvers<Fate>()
    let rules: ArmedRule[] = []
    await this.#up.send(request.bytes, {
      before: () => {
        this.#conversation.sent(request)
        rules = this.#board.matching('forwarded', request.names, request)
        if (rules.length > 0) this.#forwarded.set(request, stage.promise)
      },
      after: async (isWritten) => {
        if (rules.length === 0) return
        stage.resolve(isWritten ? this.#perform(rules, { request, reply: null }) : 'drop')
        const done = stage.promise.then((fate) => {
          if (fate === 'reset') this.reset()
        })
        if (rules.some(overtakes)) this.#keepAside(done)
        else await done
      },
    })
  }

  async #clientEnded(): Promise<void> {
    while (this.#aside.size > 0) await Promise.all(this.#aside)
    const rest = this.#conversation.unfinished()
    if (rest.length > 0 && !this.#isDeaf && !this.#isHalfOpen) await this.#up.send(rest)
    await this.#up.drained()
    await this.#answered()
    await this.#board.link.passable()
    this.#server.end()
  }

  /** Servers drop what they were asked when they see the end of a connection, so the end is kept from them. */
  async #answered(): Promise<void> {
    if (this.#conversation.open === 0 || this.#server.readableEnded || this.#server.destroyed) return
    const done = new AbortController()
    const signal = AbortSignal.any([done.signal, this.#board.link.signal])
    this.#onReply = () => {
      if (this.#conversation.open === 0) done.abort()
    }
    this.#server.once('close', () => done.abort())
    await systemClock.sleep(lingerMaxMs, signal).catch(() => {})
    if (!done.signal.aborted) this.#server.destroy()
  }

  // --- from the server to the client -------------------------------------------------------------------------------

  async #fromServer(chunk: Buffer): Promise<void> {
    const replies = this.#conversation.replies(chunk)
    for (const reply of replies) {
      if (this.#isMute) break
      const rules = reply.request === null ? [] : this.#board.matching('reply', reply.names, reply.request)
      const passed = this.#passReply(reply, rules)
      if (rules.some(overtakes)) this.#keepAside(passed)
      else await passed
    }
    this.#onReply()
  }

  async #passReply(reply: WireReply, rules: readonly ArmedRule[]): Promise<void> {
    const { request, bytes } = reply
    let fate: Fate = 'pass'
    if (request !== null) fate = (await this.#forwarded.get(request)) ?? 'pass'
    if (request !== null && fate === 'pass') fate = await this.#perform(rules, { request, reply: bytes })
    if (fate === 'reset') this.reset()
    if (fate === 'drop' && this.#board.dialect.isOrdered) this.#isMute = true
    if (fate === 'pass' && !this.#isMute) await this.#down.send(bytes)
  }

  async #serverEnded(): Promise<void> {
    while (this.#aside.size > 0) await Promise.all(this.#aside)
    await this.#down.drained()
    if (this.#isHalfOpen) return
    await this.#board.link.passable()
    if (!this.#client.destroyed && !this.#client.readableEnded) await this.#board.targetEnded()
    if (this.#server.errored) this.reset()
    else this.#client.destroySoon()
  }

  // --- both --------------------------------------------------------------------------------------------------------

  /** Reads until the end, whatever the end is; while a chunk is taken the kernel's buffers fill. */
  async #pump(socket: Socket, take: (chunk: Buffer) => Promise<void>): Promise<void> {
    try {
      for await (const chunk of socket.iterator({ destroyOnReturn: false })) await take(chunk as Buffer)
    } catch (error) {
      if (!(error instanceof FramingError)) return
      this.#board.trouble(error)
      this.reset()
      this.#server.destroy()
    }
  }

  async #perform(rules: readonly ArmedRule[], message: Message): Promise<Fate> {
    if (rules.length === 0) return 'pass'
    try {
      return await perform(rules, message, this.#board.link.signal)
    } catch (error) {
      if (!this.#board.link.signal.aborted) this.#board.trouble(error)
      return 'drop'
    }
  }

  #keepAside(work: Promise<void>): void {
    const kept = work.catch(() => {}).then(() => void this.#aside.delete(kept))
    this.#aside.add(kept)
  }
}
