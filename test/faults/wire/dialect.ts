/** One request as a client sent it. Filters may look into `bytes`; see kafka-requests.ts for readers of Kafka's. */
export interface WireRequest {
  /** What a rule may call it; the most telling name first. Kafka: its API. Redis: its script, then its command. */
  readonly names: readonly string[]
  /** All of it, as on the wire. */
  readonly bytes: Buffer
}

export interface WireReply {
  readonly bytes: Buffer
  /** What it answers; null for what nobody asked for. */
  readonly request: WireRequest | null
  /** Names that rules know this reply by: those of its request, unless the server did not do what was asked. */
  readonly names: readonly string[]
}

/** How one connection is cut into requests and replies. Throws FramingError for bytes that are not of its kind. */
export interface Conversation {
  /** Requests that are complete with this chunk. */
  requests(chunk: Buffer): readonly WireRequest[]
  /** Bytes of a request whose end has not come. */
  unfinished(): Buffer
  /** Called in the order in which requests go to the server. */
  sent(request: WireRequest): void
  /** Replies that are complete with this chunk. */
  replies(chunk: Buffer): readonly WireReply[]
  /** Requests sent and not answered. */
  readonly open: number
}

export interface Dialect {
  /**
   * Whether a client knows replies by their order only. Then one lost message takes all behind it along, as on a real
   * connection, and nothing overtakes.
   */
  readonly isOrdered: boolean
  converse(): Conversation
}

export class FramingError extends Error {}

/** Bytes without meaning: each chunk is a request named 'raw', or a reply to the last one. */
export const rawDialect: Dialect = {
  isOrdered: true,
  converse: () => {
    const last: WireRequest = { names: ['raw'], bytes: Buffer.alloc(0) }
    return {
      requests: (bytes) => [{ names: last.names, bytes }],
      unfinished: () => last.bytes,
      sent: () => {},
      replies: (bytes) => [{ bytes, request: last, names: last.names }],
      open: 0,
    }
  },
}
