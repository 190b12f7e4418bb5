import { FramingError } from './dialect.ts'

const lineMaxBytes = 64 * 1024 // Redis refuses longer inline commands
const bulkMaxBytes = 512 * 1024 * 1024 // proto-max-bulk-len

/** Cuts a stream into whole values of the Redis protocol (RESP2 and 3): requests as well as replies. */
export class RespFrames {
  /** Bytes of the value that is not complete. */
  #chunks: Buffer[] = []
  /** Values still missing in each of the aggregates around this place, the innermost last. */
  #missing: number[] = []
  #line = ''
  /** Bytes of a bulk string still to come, with its line end. */
  #bulkBytes = 0

  push(chunk: Buffer): Buffer[] {
    const frames: Buffer[] = []
    let start = 0
    let at = 0
    while (at < chunk.length) {
      const end = this.#nextEnd(chunk, at)
      const isValue = this.#bulkBytes > 0 ? this.#takeBulk(end - at) : this.#takeLine(chunk, at, end)
      at = end
      if (!isValue || !this.#endsFrame()) continue
      frames.push(Buffer.concat([...this.#chunks, chunk.subarray(start, at)]))
      this.#chunks = []
      start = at
    }
    if (start < chunk.length) this.#chunks.push(chunk.subarray(start))
    return frames
  }

  /** The start of a value whose end has not come. */
  rest(): Buffer {
    return Buffer.concat(this.#chunks)
  }

  #nextEnd(chunk: Buffer, at: number): number {
    if (this.#bulkBytes > 0) return Math.min(chunk.length, at + this.#bulkBytes)
    const newline = chunk.indexOf(0x0a, at)
    return newline < 0 ? chunk.length : newline + 1
  }

  #takeBulk(bytes: number): boolean {
    this.#bulkBytes -= bytes
    return this.#bulkBytes === 0
  }

  #takeLine(chunk: Buffer, at: number, end: number): boolean {
    this.#line += chunk.toString('latin1', at, end)
    if (this.#line.length > lineMaxBytes) throw new FramingError('a line without end: not the Redis protocol')
    if (!this.#line.endsWith('\n')) return false
    const line = this.#line.trimEnd()
    this.#line = ''
    return this.#isWhole(line)
  }

  /** Whether the value that begins with this line ends with it; notes what is to come otherwise. */
  #isWhole(line: string): boolean {
    switch (line[0]) {
      case '$':
      case '!':
      case '=': {
        const length = lengthOf(line)
        if (length < 0) return true
        this.#bulkBytes = length + 2
        return false
      }
      case '*':
      case '~':
      case '>':
        return !this.#opens(lengthOf(line))
      case '%':
        return !this.#opens(2 * lengthOf(line))
      case '|': // attributes, then the value they belong to
        return !this.#opens(2 * lengthOf(line) + 1)
      default:
        return true
    }
  }

  #opens(count: number): boolean {
    if (count > 0) this.#missing.push(count)
    return count > 0
  }

  /** Called at the end of each value: whether it ends all aggregates around it. */
  #endsFrame(): boolean {
    while (this.#missing.length > 0) {
      const left = (this.#missing.pop() ?? 1) - 1
      if (left > 0) {
        this.#missing.push(left)
        return false
      }
    }
    return true
  }
}

function lengthOf(line: string): number {
  const length = /^.-?\d+$/.test(line) ? Number(line.slice(1)) : NaN
  if (!(length >= -1 && length <= bulkMaxBytes))
    throw new FramingError(`a length of '${line.slice(1, 20)}': not the Redis protocol`)
  return length
}

/** The first arguments of a request, `count` at most. Inline commands are split at spaces. */
export function respArguments(frame: Buffer, count: number): Buffer[] {
  if (frame[0] !== 0x2a) {
    const words = frame.toString('latin1').trim().split(/\s+/)
    return words
      .filter((word) => word !== '')
      .slice(0, count)
      .map((word) => Buffer.from(word, 'latin1'))
  }
  const found: Buffer[] = []
  let at = frame.indexOf(0x0a) + 1
  while (found.length < count && at < frame.length) {
    const lineEnd = frame.indexOf(0x0a, at)
    const length = Number(frame.toString('latin1', at + 1, lineEnd))
    found.push(frame.subarray(lineEnd + 1, lineEnd + 1 + length))
    at = lineEnd + 1 + length + 2
  }
  return found
}
