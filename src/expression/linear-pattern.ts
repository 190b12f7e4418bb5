import { RE2JS } from 're2js'

/** A regular expression that takes time in proportion to the text, whatever the text is. */
export interface LinearPattern {
  /** Whether it is found anywhere in the text. */
  test(text: string): boolean
}

/**
 * In the syntax of RE2, which CEL asks for; what only JavaScript writes (`\u0041`) is understood. Without look-around and
 * back references, which cannot be had in linear time. Throws an Error that says what is wrong.
 */
export function linearPattern(pattern: string): LinearPattern {
  try {
    return RE2JS.compile(RE2JS.translateRegExp(pattern))
  } catch (error) {
    const reason = (error as Error).message.replace(/^error parsing regexp: /, '')
    throw new Error(
      `invalid regular expression: ${reason} (RE2 syntax: without look-around and back references)`,
      {
        cause: error,
      },
    )
  }
}

const cachedMax = 256
const cached = new Map<string, LinearPattern | null>()

/** The pattern, compiled once while it is in use; null: it is none. For patterns that are only known at run time. */
export function cachedPattern(pattern: string): LinearPattern | null {
  const known = cached.get(pattern)
  if (known !== undefined) return known
  if (cached.size >= cachedMax) cached.delete(cached.keys().next().value!)
  let compiled: LinearPattern | null
  try {
    compiled = linearPattern(pattern)
  } catch {
    compiled = null
  }
  cached.set(pattern, compiled)
  return compiled
}
