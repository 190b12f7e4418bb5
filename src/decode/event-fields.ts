import type { Event } from '../record/event.ts'
import { fieldAt, pointerOf } from '../record/field-path.ts'
import type { RawRecord } from '../record/raw-record.ts'
import { compileTimeReader } from './event-time.ts'
import { Fault, show, showAt } from './fault.ts'
import type { Fields } from '../record/event.ts'
import { keyDifference } from './key-difference.ts'
import type { SourcePlan } from './plan.ts'

/** Decoded fields → event: id, key and time are present, well-formed and agree with the record. */
export function compileEventCheck(source: SourcePlan): (fields: Fields, raw: RawRecord) => Event | Fault {
  const { idField, keyField } = source
  const readTime = compileTimeReader(source)
  return (fields, raw) => {
    const id = readText(fields, idField)
    if (typeof id !== 'string') return id
    const key = readText(fields, keyField)
    if (typeof key !== 'string') return key
    if (raw.key === null) {
      const at = pointerOf(fields, keyField)
      return new Fault('VALIDATION', `the record has no key, expected ${show(key)} as in ${at}`)
    }
    if (!isSameText(key, raw.key)) {
      return new Fault(
        'VALIDATION',
        `at ${pointerOf(fields, keyField)}: ${show(key)} differs from the record key ${keyDifference(key, raw.key)}`,
      )
    }
    const time = readTime(fields, raw)
    return typeof time === 'number' ? { id, key, time, fields, raw } : time
  }
}

/** Ids and keys: text as it is, whole numbers in decimal. */
function readText(fields: Fields, name: string): string | Fault {
  const value = fieldAt(fields, name)
  if (typeof value === 'string') {
    if (value !== '' && value.isWellFormed()) return value
    const found =
      value === '' ? 'expected text, found empty text' : 'expected Unicode text, found half a surrogate pair'
    return new Fault('VALIDATION', `at ${pointerOf(fields, name)}: ${found}`)
  }
  if (typeof value === 'bigint' || Number.isSafeInteger(value)) return String(value)
  return new Fault(
    'VALIDATION',
    `at ${pointerOf(fields, name)}: expected text or a whole number, found ${showAt(fields, name)}`,
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
