import { promisify } from 'node:util'
import { gunzip, gzip, zstdCompress, zstdDecompress } from 'node:zlib'
import { compressFrame } from 'lz4-napi'
import snappy from 'snappyjs'
import { readLz4 } from './wire/read-lz4.ts'
import { readSnappy } from './wire/read-snappy.ts'
import { Unreadable } from './wire/unreadable.ts'

/** Compression of a record batch, by the names of the Java client. */
export const compressions = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
export type Compression = (typeof compressions)[number]

/** Attribute bits of the record batch format. */
export const compressionIds: Readonly<Record<Compression, number>> = {
  none: 0,
  gzip: 1,
  snappy: 2,
  lz4: 3,
  zstd: 4,
}

/**
 * A batch that grows beyond this is refused: the broker's limit is on compressed bytes (1 MB by default), and a few
 * of them must not fill the memory. 128 times that limit, larger than any honest batch.
 */
export const decompressedBytesMax = 128 * 1024 * 1024

export interface Codec {
  compress(encoder: { readonly buffer: Buffer }): Promise<Buffer>
  /** Rejects with Unreadable, before more than `bytesMax` are written; by default `decompressedBytesMax`. */
  decompress(compressed: Buffer, bytesMax?: number): Promise<Buffer>
}

interface Limit {
  readonly maxOutputLength: number
}
const toGzip = promisify(gzip)
const fromGzip = promisify<Buffer, Limit, Buffer>(gunzip)
const toZstd = promisify(zstdCompress)
const fromZstd = promisify<Buffer, Limit, Buffer>(zstdDecompress)

export const codecs: Readonly<Record<Exclude<Compression, 'none'>, Codec>> = {
  gzip: {
    compress: ({ buffer }) => toGzip(buffer),
    decompress: (compressed, bytesMax) => limited('gzip', fromGzip, compressed, bytesMax),
  },
  snappy: {
    // Java reads a bare block as well as its own framing.
    compress: async ({ buffer }) => snappy.compress(buffer),
    decompress: async (compressed, bytesMax = decompressedBytesMax) => readSnappy(compressed, bytesMax),
  },
  lz4: {
    compress: ({ buffer }) => compressFrame(buffer),
    decompress: async (compressed, bytesMax = decompressedBytesMax) => readLz4(compressed, bytesMax),
  },
  zstd: {
    compress: ({ buffer }) => toZstd(buffer),
    decompress: (compressed, bytesMax) => limited('zstd', fromZstd, compressed, bytesMax),
  },
}

async function limited(
  name: string,
  decompress: (compressed: Buffer, limit: Limit) => Promise<Buffer>,
  compressed: Buffer,
  bytesMax = decompressedBytesMax,
): Promise<Buffer> {
  try {
    return await decompress(compressed, { maxOutputLength: bytesMax })
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
      ? new Unreadable('too-large', `${name} data grows beyond the bound of ${bytesMax} bytes`, {
          cause: error,
        })
      : new Unreadable('damaged', `${name} data is damaged`, { cause: error })
  }
}

/** By the number in the attributes of a batch; undefined: no codec has it. */
export function codecOf(id: number): Codec | undefined {
  return codecs[compressions[id] as keyof typeof codecs]
}

/** An unregistered codec on a source topic ends the consumer for good, so all are registered at once. */
export function registerCodecs(registry: Record<number, unknown>): void {
  for (const [name, codec] of Object.entries(codecs)) {
    registry[compressionIds[name as Compression]] = () => codec
  }
}
