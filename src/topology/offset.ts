import type { Scalar } from 'yaml'

/**
 * Place in the file of a character of a scalar's value. Quotes, escapes, the indentation of block scalars and folded
 * lines make the two differ; they are walked side by side.
 */
export function offsetInSource(text: string, scalar: Scalar, offset: number): number {
  const value = scalar.value
  const [start, end] = scalar.range ?? [0, 0]
  if (typeof value !== 'string') return start + offset
  const source = text.slice(start, end)
  const whole = source.indexOf(value)
  // Escapes inside quotes could make an earlier, accidental match; a value without them appears as it is.
  if (whole >= 0) return start + whole + Math.min(offset, value.length)
  let at = isBlock(scalar) ? source.indexOf('\n') + 1 : isQuoted(scalar) ? 1 : 0
  for (let i = 0; i < offset && at < source.length; i++) at = behind(source, skipTo(source, at, value[i]!))
  return start + skipTo(source, at, value[offset] ?? '')
}

function isBlock(scalar: Scalar): boolean {
  return scalar.type === 'BLOCK_FOLDED' || scalar.type === 'BLOCK_LITERAL'
}

function isQuoted(scalar: Scalar): boolean {
  return scalar.type === 'QUOTE_DOUBLE' || scalar.type === 'QUOTE_SINGLE'
}

/** First place at or behind `at` where `character` can be: past indentation, line breaks and the mark of an escape. */
function skipTo(source: string, at: number, character: string): number {
  if (isSpace(character)) return at
  let place = at
  while (
    place < source.length &&
    source[place] !== character &&
    (isSpace(source[place]!) || source[place] === '\\')
  ) {
    place++
  }
  return place < source.length ? place : at
}

function behind(source: string, at: number): number {
  // '' inside single quotes is one character.
  return source[at] === "'" && source[at + 1] === "'" ? at + 2 : at + 1
}

function isSpace(character: string): boolean {
  return character === ' ' || character === '\n' || character === '\r' || character === '\t'
}
