import type { GrowingBuffer } from './growing-buffer.ts'

/*
 * Requests in bytes over the connections of kafkajs (TLS, SASL, time limits, throttling), without its copies of them. Read
 * from the source of kafkajs 2.2.4, as internals.ts.
 */
export interface WireBroker {
  readonly connectionPool: { getConnection(): Promise<WireConnection> }
  disconnect(): Promise<void>
}

interface WireConnection {
  readonly clientId: string
  readonly socket: { write(bytes: Buffer): void }
  readonly requestQueue: {
    /** Calls `sendRequest`, at once unless the broker asked to wait. */
    push(request: {
      readonly entry: Entry
      readonly expectResponse: true
      readonly requestTimeout: null
      readonly sendRequest: () => void
    }): void
    maybeThrottle(ms: number): void
  }
  isAuthenticated(): boolean
  /** Again, if the session is about to end; nothing without SASL. */
  authenticate(): Promise<void>
  failIfNotConnected(): void
  nextCorrelationId(): number
}

interface Entry {
  readonly apiKey: number
  readonly apiName: string
  readonly apiVersion: number
  readonly correlationId: number
  readonly resolve: (answer: { readonly payload: Buffer }) => void
  readonly reject: (error: unknown) => void
}

export interface Api {
  readonly apiKey: number
  readonly apiName: string
  readonly apiVersion: number
}

/** Where the correlation id stands in a request, which is known only when it is sent. */
const correlationAt = 8

/** Writes length (of what is not there yet), API and client id: what stands before the body of every request. */
export function beginRequest(buffer: GrowingBuffer, api: Api, clientId: string): void {
  buffer.int32(0)
  buffer.int16(api.apiKey)
  buffer.int16(api.apiVersion)
  buffer.int32(0)
  buffer.string(clientId)
}

/** Sends a request and resolves with what follows the correlation id of the answer. Its bytes stay in use until then. */
export async function sendRequest<Answer extends { readonly throttleMs: number }>(
  broker: WireBroker,
  api: Api,
  { bytes: all, at: end }: GrowingBuffer,
  decode: (payload: Buffer) => Answer,
): Promise<Answer> {
  try {
    const connection = await broker.connectionPool.getConnection()
    if (!connection.isAuthenticated()) await connection.authenticate()
    connection.failIfNotConnected()
    const bytes = all.subarray(0, end)
    const correlationId = connection.nextCorrelationId()
    bytes.writeInt32BE(end - 4, 0)
    bytes.writeInt32BE(correlationId, correlationAt)
    const { payload } = await new Promise<{ readonly payload: Buffer }>((resolve, reject) => {
      connection.requestQueue.push({
        entry: { ...api, correlationId, resolve, reject },
        expectResponse: true,
        requestTimeout: null,
        sendRequest: () => connection.socket.write(bytes),
      })
    })
    const answer = decode(payload)
    connection.requestQueue.maybeThrottle(answer.throttleMs)
    return answer
  } catch (error) {
    if ((error as { name?: string }).name === 'KafkaJSConnectionClosedError') await broker.disconnect()
    throw error
  }
}
