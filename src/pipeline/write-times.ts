/** Records of a chunk, of which there are many: arrays that are allocated as a whole. */
const chunkLength = 4_096

interface Chunk {
  readonly offsets: Float64Array
  readonly stoodAt: Float64Array
  length: number
  /** Largest event time in it. */
  newest: number
}

/**
 * Since when the records of one partition stood in its log, as far as their timestamps say: nothing was written before
 * what stands in front of it. 16 bytes a record.
 */
export class WriteTimes {
  #chunks: Chunk[] = []
  #last = -Infinity

  /** In the order of offsets. `counts` false: nobody has to have read it in time. */
  note(offset: number, timestampMs: number, timeMs: number, counts: boolean): void {
    let chunk = this.#chunks.at(-1)
    if (chunk === undefined || chunk.length === chunkLength) {
      chunk = {
        offsets: new Float64Array(chunkLength),
        stoodAt: new Float64Array(chunkLength),
        length: 0,
        newest: -Infinity,
      }
      this.#chunks.push(chunk)
    }
    this.#last = Math.max(this.#last, timestampMs)
    chunk.offsets[chunk.length] = offset
    chunk.stoodAt[chunk.length] = counts ? this.#last : Infinity
    chunk.length++
    chunk.newest = Math.max(chunk.newest, timeMs)
  }

  /** Epoch ms at or before which the record was in the log; Infinity where that is not known, or does not matter. */
  stoodAt(offset: number): number {
    const chunk = this.#chunks.findLast(({ offsets }) => offsets[0]! <= offset)
    if (chunk === undefined) return Infinity
    let low = 0
    let high = chunk.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (chunk.offsets[middle]! < offset) low = middle + 1
      else high = middle
    }
    return low < chunk.length && chunk.offsets[low] === offset ? chunk.stoodAt[low]! : Infinity
  }

  /** Whole chunks of records at or before this event time, which no window reaches any more. */
  forgetUntil(timeMs: number): void {
    const kept = this.#chunks.findIndex(({ newest, length }) => newest > timeMs || length < chunkLength)
    if (kept > 0) this.#chunks = this.#chunks.slice(kept)
  }
}
