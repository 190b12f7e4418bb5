import { Fault } from './fault.ts'

/** Confluent framing: a zero byte, the writer schema's id (int32, big endian), then Avro bytes or JSON. */
export const frameHeaderBytes = 5

/** The writer schema's id, or why the bytes are not framed. */
export function readSchemaId(value: Buffer): number | Fault {
  if (value.length < frameHeaderBytes) {
    return new Fault('DECODE', `expected a schema id and a value, found ${value.length} bytes in all`)
  }
  if (value[0] !== 0) {
    const found = `expected magic byte 0 before the schema id, found ${value[0]}`
    return new Fault(
      'DECODE',
      looksLikeJson(value) ? `${found}; it looks like JSON: write codec: {json: …}` : found,
    )
  }
  const id = value.readInt32BE(1)
  return id >= 0 ? id : new Fault('DECODE', `expected a schema id of at least 0, found ${id}`)
}

function looksLikeJson(value: Buffer): boolean {
  return value[0] === 0x7b && value.at(-1) === 0x7d // { and }
}
