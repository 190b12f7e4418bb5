import { FramingError } from './dialect.ts'

const frameMaxBytes = 128 * 1024 * 1024 // above what brokers accept (socket.request.max.bytes, 100 MiB)

/** Cuts a stream into Kafka's frames: four bytes of length, then as many bytes. A frame keeps its length. */
export class KafkaFrames {
  #chunks: Buffer[] = []
  #length = 0

  push(chunk: Buffer): Buffer[] {
    this.#chunks.push(chunk)
    this.#length += chunk.length
    const frames: Buffer[] = []
    for (;;) {
      const wanted = 4 + this.#nextSize()
      if (this.#length < wanted) return frames
      const all = this.rest()
      frames.push(all.subarray(0, wanted))
      this.#chunks = [all.subarray(wanted)]
      this.#length -= wanted
    }
  }

  /** The start of a frame whose end has not come. */
  rest(): Buffer {
    const [only] = this.#chunks
    if (this.#chunks.length !== 1 || only === undefined) this.#chunks = [Buffer.concat(this.#chunks)]
    return this.#chunks[0] ?? Buffer.alloc(0)
  }

  /** Bytes after the length; unknown lengths count as endless. */
  #nextSize(): number {
    if (this.#length < 4) return Infinity
    const [first] = this.#chunks
    const size = (first !== undefined && first.length >= 4 ? first : this.rest()).readInt32BE(0)
    if (size < 4 || size > frameMaxBytes)
      throw new FramingError(`a Kafka frame of ${size} bytes: not the Kafka protocol`)
    return size
  }
}
