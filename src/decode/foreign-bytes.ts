const bom = [0xef, 0xbb, 0xbf]

/** Bytes without the mark that some programs put in front of UTF-8; JSON allows to read past it. */
export function withoutBom(bytes: Buffer): Buffer {
  return bytes[0] === bom[0] && bytes[1] === bom[1] && bytes[2] === bom[2] ? bytes.subarray(3) : bytes
}

/** What bytes that are no JSON look like, to be put behind the message that says so; empty when like nothing known. */
export function foreignBytes(bytes: Buffer): string {
  const [first, second] = bytes
  if (first === 0 && bytes.length > 5) {
    return (
      `; it looks like schema-registry framing (id ${bytes.readInt32BE(1)}): for JSON Schema write ` +
      'codec: {json: {schema: PATH, framing: registry}}, for Avro codec: {avro: …}; Protobuf is not read'
    )
  }
  if (first === 0x1f && second === 0x8b) return '; it looks like gzip inside the value'
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff))
    return '; it looks like UTF-16'
  return ''
}
