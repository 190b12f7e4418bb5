import { crc32c as native } from '@node-rs/crc32'

/** CRC-32C (Castagnoli) of [start, end), as record batches carry it; unsigned. */
export function crc32c(bytes: Buffer, start: number, end: number): number {
  return native(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end))
}
