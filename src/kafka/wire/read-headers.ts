import { isUtf8 } from 'node:buffer'
import type { Header, Headers } from '../../record/raw-record.ts'

/** Decodes headers that `read-records` has walked: in time linear in their bytes, in order, with nulls and duplicates. */
export function readHeaders(bytes: Buffer, count: number, start: number): Headers {
  const headers: Header[] = []
  let at = start
  const take = (): Buffer | null => {
    let raw = 0
    for (let shift = 0, byte = 0x80; byte > 0x7f; shift += 7) {
      byte = bytes[at++]!
      raw |= (byte & 0x7f) << shift
    }
    const length = (raw >>> 1) ^ -(raw & 1)
    if (length < 0) return null
    at += length
    return bytes.subarray(at - length, at)
  }
  for (let i = 0; i < count; i++) {
    const name = take() ?? Buffer.alloc(0)
    headers.push([isUtf8(name) ? name.toString() : name, take()])
  }
  return headers
}
