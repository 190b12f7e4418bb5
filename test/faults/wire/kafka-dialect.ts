import type { Conversation, Dialect, WireRequest } from './dialect.ts'
import { FramingError } from './dialect.ts'
import { KafkaFrames } from './kafka-frames.ts'
import { kafkaHeader } from './kafka-requests.ts'

/** Requests are named by their API; replies are matched by correlation id. */
export const kafkaDialect: Dialect = { isOrdered: false, converse }

function converse(): Conversation {
  const requestFrames = new KafkaFrames()
  const replyFrames = new KafkaFrames()
  const open = new Map<number, WireRequest>() // by correlation id, in the order sent

  /** The server answers in order, so what was sent earlier will have no answer: Produce with acks=0. */
  const answered = (correlationId: number): WireRequest | null => {
    const request = open.get(correlationId) ?? null
    if (request === null) return null
    for (const id of open.keys()) {
      open.delete(id)
      if (id === correlationId) break
    }
    return request
  }

  return {
    requests: (chunk) => requestFrames.push(chunk).map((bytes) => ({ names: [headerOf(bytes).api], bytes })),
    unfinished: () => requestFrames.rest(),
    sent: (request) => void open.set(headerOf(request.bytes).correlationId, request),
    replies: (chunk) =>
      replyFrames.push(chunk).map((bytes) => {
        const request = answered(bytes.readInt32BE(4))
        return { bytes, request, names: request?.names ?? [] }
      }),
    get open() {
      return open.size
    },
  }
}

function headerOf(frame: Buffer): NonNullable<ReturnType<typeof kafkaHeader>> {
  const header = kafkaHeader(frame)
  if (header === null)
    throw new FramingError(`a Kafka request of ${frame.length} bytes has no complete header`)
  return header
}
