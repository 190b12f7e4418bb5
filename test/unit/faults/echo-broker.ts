import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { KafkaFrames } from '../../faults/wire/kafka-frames.ts'
import { kafkaHeader } from '../../faults/wire/kafka-requests.ts'
import { kafkaReply, kafkaRequest } from './kafka-bytes.ts'

/** Something that grows and can be waited for. */
export class Growing<T> {
  readonly items: T[] = []
  #wake: (() => void)[] = []

  add(item: T): void {
    this.items.push(item)
    for (const wake of this.#wake.splice(0)) wake()
  }

  /** Waits until there are `count`, and returns them all. */
  async of(count: number): Promise<readonly T[]> {
    while (this.items.length < count) await new Promise<void>((resolve) => this.#wake.push(resolve))
    return this.items
  }
}

/** Answers each Kafka request with its correlation id, and keeps what came. */
export interface EchoBroker {
  readonly port: number
  /** API and correlation id of each request: 'EndTxn 3'. */
  readonly received: Growing<string>
  /** One item per connection that has ended. */
  readonly ended: Growing<Socket>
  readonly sockets: ReadonlySet<Socket>
  /** Replies wait for it. */
  answering: Promise<void>
  /** Ends all connections and takes no more. */
  stop(): void
  /** On the same port again. */
  start(): Promise<void>
}

/** Closed when the test ends. */
export async function echoBroker(): Promise<EchoBroker> {
  const received = new Growing<string>()
  const ended = new Growing<Socket>()
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    const frames = new KafkaFrames()
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => ended.add(socket))
    socket.on('data', (chunk: Buffer) => {
      for (const frame of frames.push(chunk)) {
        const header = kafkaHeader(frame)
        received.add(`${header?.api} ${header?.correlationId}`)
        void broker.answering.then(() => socket.write(kafkaReply(header?.correlationId ?? 0)))
      }
    })
  })
  const start = async (port: number): Promise<number> => {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }
  const stop = (): void => {
    server.close()
    for (const socket of sockets) socket.end()
  }
  const port = await start(0)
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const broker: EchoBroker = {
    port,
    received,
    ended,
    sockets,
    answering: Promise.resolve(),
    stop,
    start: async () => void (await start(port)),
  }
  return broker
}

/** A client that sends Kafka requests and collects the correlation ids of their replies. */
export class TestClient {
  readonly replies = new Growing<number>()
  /** 'end' for FIN, else the code of the error: 'ECONNRESET'. */
  readonly closed: Promise<string>
  readonly #socket: Socket

  constructor(port: number) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true })
    const frames = new KafkaFrames()
    this.#socket.on('data', (chunk: Buffer) => {
      for (const frame of frames.push(chunk)) this.replies.add(frame.readInt32BE(4))
    })
    this.closed = new Promise((resolve) => {
      this.#socket.once('error', (error) => resolve((error as NodeJS.ErrnoException).code ?? error.message))
      this.#socket.once('close', () => resolve('end'))
    })
    onTestFinished(() => void this.#socket.destroy())
  }

  send(key: number, correlationId: number, body?: Buffer): void {
    this.#socket.write(kafkaRequest({ key, correlationId, ...(body ? { body } : {}) }))
  }

  write(bytes: Buffer): void {
    this.#socket.write(bytes)
  }

  end(): void {
    this.#socket.end()
  }

  /** Gone at once, as a killed process. */
  leave(): void {
    this.#socket.destroy()
  }
}
