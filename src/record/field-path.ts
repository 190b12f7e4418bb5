import type { Fields } from './event.ts'

/**
 * How a topology names a field: the name as it stands at the top of the event, or else the way down to it, with dots
 * (`after.id`). A field whose own name holds a dot (`a.b`) is found first; no other character has a meaning.
 */

/** Undefined: the event has no such field. */
export function fieldAt(fields: Fields, name: string): unknown {
  const value = fields[name]
  // The usual case at half the price: what an object has without owning it is a function, or called __proto__.
  if (value !== undefined && typeof value !== 'function' && name !== '__proto__') return value
  if (Object.hasOwn(fields, name)) return value
  return name.includes('.') ? walk(fields, name) : undefined
}

function walk(fields: Fields, name: string): unknown {
  let at: unknown = fields
  for (const step of name.split('.')) {
    if (!isGroup(at) || !Object.hasOwn(at, step)) return undefined
    at = at[step]
  }
  return at
}

/** Where `fieldAt` looked, as a JSON pointer. */
export function pointerOf(fields: Fields, name: string): string {
  const steps = Object.hasOwn(fields, name) || !name.includes('.') ? [name] : name.split('.')
  return pointer(steps)
}

/** The first step of the way that the event does not have, as a JSON pointer; null: only the last is missing, or none. */
export function missingStep(fields: Fields, name: string): string | null {
  const steps = name.split('.')
  let at: unknown = fields
  for (let i = 0; i < steps.length - 1; i++) {
    at = isGroup(at) && Object.hasOwn(at, steps[i]!) ? at[steps[i]!] : undefined
    if (!isGroup(at)) return pointer(steps.slice(0, i + 1))
  }
  return null
}

function pointer(steps: readonly string[]): string {
  return steps.map((step) => `/${step.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

function isGroup(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
