import { createHash } from 'node:crypto'
import type { OutputRecord } from '../record/output.ts'
import type { Headers, RawRecord } from '../record/raw-record.ts'
import { recordBytes } from '../record/size.ts'
import { deadLetterHeader } from './headers.ts'

/** Says that a dead letter has no bytes of the record it speaks of. */
export const stubHeader = 'millrace.dlq.stub'

/** A key up to this many bytes stays: tools join letters by it. */
const keyBytesMax = 1024

/** How large the record is that a stub stands for, and the SHA-256 of its value: it can be known again in its source. */
export function stubHeaders(raw: Pick<RawRecord, 'key' | 'value' | 'headers'>): Headers {
  const digest = createHash('sha256').update(raw.value ?? Buffer.alloc(0))
  return {
    [stubHeader]: 'true',
    'millrace.dlq.bytes': String(recordBytes(raw)),
    'millrace.dlq.value-digest': `sha256:${digest.digest('hex')}`,
  }
}

/** What remains of a dead letter that its topic would refuse: where the record is, how large, why, and its digest. */
export function stubOf(letter: OutputRecord, raw: RawRecord): OutputRecord {
  const said = Object.entries(letter.headers ?? {}).filter(([name]) => deadLetterHeader.test(name))
  const key = raw.key !== null && raw.key.length > keyBytesMax ? null : raw.key
  return {
    ...letter,
    key,
    value: null,
    headers: { ...Object.fromEntries(said), ...stubHeaders(raw) },
  }
}
