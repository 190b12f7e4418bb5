import type { Event, FieldValue } from '../record/event.ts'
import { fieldAt } from '../record/field-path.ts'

/**
 * The text that identifies an entity; null when a key field is missing. Several fields are joined with the length
 * in front of all but the last, so that ("ab", "c") and ("a", "bc") stay two entities.
 */
export function entityKeyOf(keys: readonly string[], event: Event): string | null {
  const last = keys.length - 1
  let joined = ''
  for (let i = 0; i <= last; i++) {
    const text = keyText(fieldAt(event.fields, keys[i]!))
    if (text === null) return null
    joined += i < last ? `${text.length}:${text}` : text
  }
  return joined
}

function keyText(value: FieldValue): string | null {
  // Half a surrogate pair has no UTF-8: written out, memory and store agree on which entity it is, and no two are one.
  if (typeof value === 'string')
    return value.isWellFormed() ? value : value.replace(/\p{Surrogate}/gu, writtenOut)
  if (typeof value === 'number') {
    if (Number.isNaN(value)) return null
    // In digits whatever its size, as a bigint is: 1e21 is one entity whether a double or a long holds it.
    return Math.abs(value) >= 1e21 && Number.isFinite(value) ? String(BigInt(value)) : String(value)
  }
  if (typeof value === 'boolean' || typeof value === 'bigint') return String(value)
  return null
}

function writtenOut(half: string): string {
  return `\ufffd${half.charCodeAt(0).toString(16)}`
}
