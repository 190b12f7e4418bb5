/** Large enough for the outputs of a usual slice: 1000 predictions of 500 bytes. */
const firstBytes = 512 * 1024
/** A request may be larger; its memory is then given up. */
const keptBytesMax = 4 * 1024 * 1024
/** Requests under way at the same time beyond this number allocate. */
const keptMax = 4

/**
 * Memory of requests, used again by all producers of a client. Whoever takes a buffer gives it back when its request was
 * answered, and lets go of it otherwise: a connection may still hold its bytes.
 */
export class BufferPool {
  readonly #free: Buffer[] = []

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(firstBytes)
  }
  give(bytes: Buffer): void {
    if (bytes.length <= keptBytesMax && this.#free.length < keptMax) this.#free.push(bytes)
  }
}
