import type { Event } from '../record/event.ts'
import type { RawRecord } from '../record/raw-record.ts'
import { readTime } from './event-time.ts'
import { Fault, show } from './fault.ts'
import type { Fields } from './json-codec.ts'
import type { SourcePlan } from './plan.ts'

/** Decoded fields → event: id, key and time are present, well-formed and agree with the record. */
export function compileEventCheck(source: SourcePlan): (fields: Fields, raw: RawRecord) => Event | Fault {
  const { idField, keyField, timeField, timeFormat, limits } = source
  return (fields, raw) => {
    const id = readText(idField, fields[idField])
    if (typeof id !== 'string') return id
    const key = readText(keyField, fields[keyField])
    if (typeof key !== 'string') return key
    if (raw.key === null) {
      return new Fault('VALIDATION', `the record has no key, expected ${show(key)} as in /${keyField}`)
    }
    if (!isSameText(key, raw.key)) {
      return new Fault(
        'VALIDATION',
        `at /${keyField}: ${show(key)} differs from the record key ${show(raw.key.toString('utf8'))}`,
      )
    }
    const time = readTime(timeField, fields[timeField], timeFormat)
    if (typeof time !== 'number') return time
    if (time > raw.timestamp + limits.futureMaxMs) {
      return new Fault(
        'TIMESTAMP',
        `at /${timeField}: ${time} is ${time - raw.timestamp} ms later than the record's timestamp ` +
          `${raw.timestamp}, allowed are ${limits.futureMaxMs} ms`,
      )
    }
    return { id, key, time, fields, raw }
  }
}

/** Ids and keys: text as it is, whole numbers in decimal. Larger numbers are refused: doubles would merge neighbours. */
function readText(field: string, value: unknown): string | Fault {
  if (typeof value === 'string') {
    if (value === '') return new Fault('VALIDATION', `at /${field}: expected text, found empty text`)
    return value.isWellFormed()
      ? value
      : new Fault('VALIDATION', `at /${field}: expected Unicode text, found half a surrogate pair`)
  }
  if (Number.isSafeInteger(value)) return String(value)
  return new Fault(
    'VALIDATION',
    `at /${field}: expected text or a whole number within ±2^53, found ${show(value)}`,
  )
}

/** Whether `bytes` are the UTF-8 of `text`. ASCII, the usual case, is compared in place. */
export function isSameText(text: string, bytes: Buffer): boolean {
  const { length } = text
  if (bytes.length < length) return false
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    if (code > 0x7f) return Buffer.from(text, 'utf8').equals(bytes)
    if (code !== bytes[i]) return false
  }
  return bytes.length === length
}
