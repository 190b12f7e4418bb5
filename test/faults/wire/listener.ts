import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

const host = '127.0.0.1'

/** A port that can be shut, so that connecting to it is refused as by a machine without the server, and opened again. */
export class Listener {
  readonly port: number
  readonly #accept: (socket: Socket) => void
  #server: Server | null = null

  constructor(port: number, accept: (socket: Socket) => void) {
    this.port = port
    this.#accept = accept
  }

  async open(): Promise<void> {
    if (this.#server !== null) return
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, this.#accept)
    this.#server.listen(this.port, host)
    await once(this.#server, 'listening')
  }

  /** Connections that were accepted stay. */
  shut(): void {
    this.#server?.close()
    this.#server = null
  }
}

/** Whether somebody listens on `port`. */
export function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    const end = (is: boolean): void => {
      socket.destroy()
      resolve(is)
    }
    socket.once('connect', () => end(true))
    socket.once('error', () => end(false))
  })
}
