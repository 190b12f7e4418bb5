import { Fault } from './fault.ts'
import { withoutBom } from './foreign-bytes.ts'

/** Confluent framing: a zero byte, the writer schema's id (int32, big endian), then Avro bytes or JSON. */
export const frameHeaderBytes = 5

/** The writer schema's id, or why the bytes are not framed. */
export function readSchemaId(value: Buffer): number | Fault {
  if (value.length < frameHeaderBytes) {
    return new Fault('DECODE', `expected a schema id and a value, found ${value.length} bytes in all`)
  }
  if (value[0] !== 0) {
    const found = `expected magic byte 0 before the schema id, found ${value[0]}`
    return new Fault('DECODE', found + likeness(value))
  }
  const id = value.readInt32BE(1)
  return id >= 0 ? id : new Fault('DECODE', `expected a schema id of at least 0, found ${id}`)
}

function likeness(value: Buffer): string {
  const inner = withoutBom(value)
  if (looksLikeJson(inner)) return '; it looks like JSON: write codec: {json: …}'
  return inner === value ? '' : '; a byte order mark stands in front of the frame: write the bytes without it'
}

function looksLikeJson(value: Buffer): boolean {
  return /^\s*\{[^]*\}\s*$/.test(value.toString('latin1'))
}
