import type { Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import type { Random } from '../../../src/simulator/random.ts'
import { systemClock } from '../../../src/time/system-clock.ts'
import { untilAborted } from '../../../src/time/until-aborted.ts'

/** What a line does to bytes; per connection and direction. */
export interface Shape {
  /** Added in each direction: a round trip takes twice as much longer. */
  readonly latencyMs?: number
  /** Added on top, between 0 and this, each message its own; order is kept. */
  readonly jitterMs?: number
  readonly bytesPerSecond?: number
  /** Bytes are written in pieces of 1 to this many. */
  readonly sliceBytes?: number
}

/** What all connections of a wire share. */
export class Link {
  shape: Shape = {}
  readonly random: Random
  /** Aborts when the wire closes: every wait ends. */
  readonly signal: AbortSignal
  #gate: PromiseWithResolvers<void> | null = null

  constructor(random: Random, signal: AbortSignal) {
    this.random = random
    this.signal = signal
  }

  /** A shut link lets nothing pass and forgets nothing. */
  shut(): void {
    this.#gate ??= Promise.withResolvers()
  }

  open(): void {
    this.#gate?.resolve()
    this.#gate = null
  }

  /** Resolves while the link is open. */
  async passable(): Promise<void> {
    while (this.#gate !== null) await untilAborted(this.#gate.promise, this.signal)
  }
}

/** What happens around the writing of a message. */
export interface Passage {
  /** Its first byte is about to be written. */
  readonly before: () => void
  /** All of it was handed to the kernel (true), or the socket was closed. What is behind it waits. */
  readonly after: (isWritten: boolean) => Promise<void>
}

const queueMaxBytes = 1024 * 1024
const throttledWritesPerSecond = 20

/** One direction of one connection: what is sent arrives in order, as the link's shape and gate allow. */
export class Line {
  readonly #link: Link
  readonly #socket: Socket
  #tail: Promise<void> = Promise.resolve()
  #dueMs = 0
  #queuedBytes = 0

  constructor(link: Link, socket: Socket) {
    this.#link = link
    this.#socket = socket
  }

  /** Resolves when there is room for more. */
  async send(bytes: Buffer, passage?: Passage): Promise<void> {
    const { latencyMs = 0, jitterMs = 0 } = this.#link.shape
    const delayMs = latencyMs + (jitterMs > 0 ? this.#link.random.between(0, jitterMs) : 0)
    this.#dueMs = Math.max(this.#dueMs, systemClock.monotonic() + delayMs)
    const dueMs = this.#dueMs
    this.#queuedBytes += bytes.length
    const sent = this.#tail.then(async () => {
      await this.#deliver(bytes, dueMs, passage)
      this.#queuedBytes -= bytes.length
    })
    this.#tail = sent.catch(() => {}) // the wire was closed
    if (this.#queuedBytes > queueMaxBytes) await this.#tail
  }

  /** Resolves when all that was sent is written. */
  async drained(): Promise<void> {
    for (let tail = null; tail !== this.#tail;) {
      tail = this.#tail
      await tail
    }
  }

  async #deliver(bytes: Buffer, dueMs: number, passage: Passage | undefined): Promise<void> {
    const leftMs = dueMs - systemClock.monotonic()
    if (leftMs > 0) await systemClock.sleep(leftMs, this.#link.signal)
    passage?.before()
    const isWritten = await this.#writeAll(bytes)
    await passage?.after(isWritten)
  }

  async #writeAll(bytes: Buffer): Promise<boolean> {
    for (let at = 0; at < bytes.length;) {
      const end = Math.min(bytes.length, at + this.#pieceBytes(bytes.length))
      const { bytesPerSecond, sliceBytes } = this.#link.shape
      if (bytesPerSecond !== undefined)
        await systemClock.sleep(((end - at) * 1000) / bytesPerSecond, this.#link.signal)
      await this.#link.passable()
      if (!(await write(this.#socket, bytes.subarray(at, end)))) return false
      if (sliceBytes !== undefined) await turn() // a segment of its own
      at = end
    }
    return true
  }

  #pieceBytes(all: number): number {
    const { bytesPerSecond, sliceBytes } = this.#link.shape
    const paced = bytesPerSecond === undefined ? all : Math.ceil(bytesPerSecond / throttledWritesPerSecond)
    return sliceBytes === undefined ? paced : Math.min(paced, 1 + this.#link.random.below(sliceBytes))
  }
}

/** Resolves to false when the socket is closed before the kernel took all. */
function write(socket: Socket, bytes: Buffer): Promise<boolean> {
  if (!socket.writable) return Promise.resolve(false)
  return new Promise((resolve) => {
    socket.write(bytes, (error) => resolve(error === null || error === undefined))
  })
}
