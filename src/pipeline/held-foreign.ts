import type { PartLog } from '../features/compiled.ts'
import type { Watermarks } from '../features/store.ts'

/** Parts of one input in one bucket, all of the same watermark; null: there is none. */
export interface HeldShare {
  /** Its text. */
  readonly watermark: string
  /** By name of the part. */
  readonly parts: ReadonlyMap<string, PartLog | null>
}

interface Share extends HeldShare {
  readonly parts: Map<string, PartLog | null>
  bytes: number
}

/** Map entry and key text of one part. */
const entryOverheadBytes = 150

/**
 * Decoded parts of other partitions, each as of the watermark it was read with. A flush writes data and watermark in one
 * step, so while the text of a watermark is the same, so are all parts of that input in that bucket: they are
 * neither sent nor decoded again. Any other text, or none, drops them.
 */
export class HeldForeign {
  /** `bucket|input`; what was read first comes first. */
  readonly #shares = new Map<string, Share>()
  #bytes = 0

  get bytes(): number {
    return this.#bytes
  }

  /** Null: nothing is held. */
  share(bucket: number, input: string): HeldShare | null {
    const share = this.#shares.get(shareName(bucket, input))
    return share === undefined || share.parts.size === 0 ? null : share
  }

  /**
   * What was read together with these watermarks, a bucket's whole map; drops what was read with others. Kept is what is
   * read while a watermark stands still from one read to the next: where each read finds another one, keeping is in vain.
   */
  put(
    bucket: number,
    input: string,
    watermarks: Watermarks,
    read: ReadonlyMap<string, PartLog | null>,
  ): void {
    const name = shareName(bucket, input)
    const watermark = watermarks.get(input)
    const share = this.#shares.get(name)
    if (share === undefined || share.watermark !== watermark) {
      if (share !== undefined) this.#drop(name, share)
      if (watermark !== undefined) this.#shares.set(name, { watermark, parts: new Map(), bytes: 0 })
      return
    }
    for (const [part, log] of read) {
      if (share.parts.has(part)) continue
      share.parts.set(part, log)
      const bytes = (log?.bytes ?? 0) + entryOverheadBytes
      share.bytes += bytes
      this.#bytes += bytes
    }
  }

  /** Down to `bytesMax`. */
  evict(bytesMax: number): void {
    for (const [name, share] of this.#shares) {
      if (this.#bytes <= bytesMax) return
      this.#drop(name, share)
    }
  }

  #drop(name: string, share: Share): void {
    this.#shares.delete(name)
    this.#bytes -= share.bytes
  }
}

function shareName(bucket: number, input: string): string {
  return `${bucket}|${input}`
}
