import { createHash } from 'node:crypto'

/** SHA-256 of bytes or of a text's UTF-8, as digests are written everywhere here: `sha256:` and hex. */
export function digestOf(content: Uint8Array | string): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`
}
