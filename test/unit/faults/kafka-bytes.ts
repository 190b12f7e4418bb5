export interface RequestFields {
  readonly key: number
  readonly version?: number
  readonly correlationId?: number
  readonly clientId?: string | null
  readonly body?: Buffer
}

/** A framed Kafka request. */
export function kafkaRequest(fields: RequestFields): Buffer {
  const { key, version = 0, correlationId = 1, clientId = null, body = Buffer.alloc(0) } = fields
  const head = Buffer.alloc(12)
  head.writeInt16BE(key, 4)
  head.writeInt16BE(version, 6)
  head.writeInt32BE(correlationId, 8)
  const frame = Buffer.concat([head, text(clientId), body])
  frame.writeInt32BE(frame.length - 4)
  return frame
}

/** A framed reply with nothing but its correlation id. */
export function kafkaReply(correlationId: number): Buffer {
  const frame = Buffer.alloc(8)
  frame.writeInt32BE(4)
  frame.writeInt32BE(correlationId, 4)
  return frame
}

/** A nullable string of the protocol. */
export function text(value: string | null): Buffer {
  const bytes = Buffer.from(value ?? '')
  const length = Buffer.alloc(2)
  length.writeInt16BE(value === null ? -1 : bytes.length)
  return Buffer.concat([length, bytes])
}
