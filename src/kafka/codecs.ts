import { promisify } from 'node:util'
import { gunzip, gzip, zstdCompress, zstdDecompress } from 'node:zlib'
import { compressFrame, decompressFrame } from 'lz4-napi'
import snappy from 'snappyjs'

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
  decompress(compressed: Buffer): Promise<Buffer>
}

const limit = { maxOutputLength: decompressedBytesMax }
const toGzip = promisify(gzip)
const fromGzip = promisify<Buffer, typeof limit, Buffer>(gunzip)
const toZstd = promisify(zstdCompress)
const fromZstd = promisify<Buffer, typeof limit, Buffer>(zstdDecompress)

export const codecs: Readonly<Record<Exclude<Compression, 'none'>, Codec>> = {
  gzip: {
    compress: ({ buffer }) => toGzip(buffer),
    decompress: (compressed) => fromGzip(compressed, limit),
  },
  snappy: {
    // Java reads a bare block as well as its own framing.
    compress: async ({ buffer }) => snappy.compress(buffer),
    decompress: async (compressed) => decompressSnappy(compressed),
  },
  lz4: {
    compress: ({ buffer }) => compressFrame(buffer),
    decompress: (compressed) => decompressFrame(compressed),
  },
  zstd: {
    compress: ({ buffer }) => toZstd(buffer),
    decompress: (compressed) => fromZstd(compressed, limit),
  },
}

/** An unregistered codec on a source topic ends the consumer for good, so all are registered at once. */
export function registerCodecs(registry: Record<number, unknown>): void {
  for (const [name, codec] of Object.entries(codecs)) {
    registry[compressionIds[name as Compression]] = () => codec
  }
}

/** The framing of snappy-java: 0x82 "SNAPPY" 0x00, two int32 versions, then blocks of int32 length and data. */
const xerialMagic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const xerialHeaderBytes = xerialMagic.length + 8

export function decompressSnappy(compressed: Buffer): Buffer {
  if (!compressed.subarray(0, xerialMagic.length).equals(xerialMagic)) {
    return snappy.uncompress(compressed, decompressedBytesMax)
  }
  const blocks: Buffer[] = []
  let bytes = 0
  for (let at = xerialHeaderBytes; at < compressed.length;) {
    const length = compressed.readInt32BE(at)
    const block = snappy.uncompress(
      compressed.subarray(at + 4, at + 4 + length),
      decompressedBytesMax - bytes,
    )
    bytes += block.length
    blocks.push(block)
    at += 4 + length
  }
  return Buffer.concat(blocks, bytes)
}
