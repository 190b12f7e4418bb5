import { connect } from 'node:net'

const metadataKey = 3
const metadataVersion = 1
const correlationId = 1
const answerMaxBytes = 1024 * 1024

/**
 * One Metadata exchange on a fresh connection: passes when the broker lists itself, which it does only once it
 * takes requests from clients. Throws when nobody answers or it is not that far.
 */
export async function kafkaAnswers(host: string, port: number, signal: AbortSignal): Promise<void> {
  const answer = await exchange(host, port, metadataRequest(), signal)
  // correlation id, then the array of brokers
  if (answer.length < 8 || answer.readInt32BE(0) !== correlationId) throw new Error('not a Kafka answer')
  if (answer.readInt32BE(4) < 1) throw new Error('the broker is not registered yet')
}

function metadataRequest(): Buffer {
  const request = Buffer.alloc(18)
  request.writeInt32BE(14, 0) // length of what follows
  request.writeInt16BE(metadataKey, 4)
  request.writeInt16BE(metadataVersion, 6)
  request.writeInt32BE(correlationId, 8)
  request.writeInt16BE(-1, 12) // client id: null
  request.writeInt32BE(0, 14) // topics: none
  return request
}

/** Sends one framed request on a connection of its own and returns the answer without its length. */
export function exchange(host: string, port: number, request: Buffer, signal?: AbortSignal): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, ...(signal ? { signal } : {}) })
    let received = Buffer.alloc(0)
    const end = (settle: () => void): void => {
      socket.destroy()
      settle()
    }
    socket.once('connect', () => socket.write(request))
    socket.once('error', (error) => end(() => reject(error)))
    socket.once('close', () => end(() => reject(new Error('the broker closed the connection'))))
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      if (received.length < 4) return
      const length = received.readInt32BE(0)
      if (length > answerMaxBytes) return end(() => reject(new Error('not a Kafka answer')))
      if (received.length >= 4 + length) end(() => resolve(received.subarray(4, 4 + length)))
    })
  })
}
