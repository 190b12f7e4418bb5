/** A big-endian int64 as a number: exact up to 2^53, which offsets and honest timestamps are. */
export function int64(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 4_294_967_296 + bytes.readUInt32BE(at + 4)
}
