import fc from 'fast-check'
import { expect, test } from 'vitest'
import { visible, visibleJson } from '../../../src/telemetry/visible.ts'
import { createLog } from '../../../src/telemetry/log.ts'

/** Escape, a C1 control sequence, DEL, right-to-left override, an isolate, Arabic letter mark, line separator. */
const hostile = ['\u001b[2J', '\u009b2J', '\u007f', '\u202e', '\u2066', '\u061c', '\u2028', '\r\n']
const steering = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/u

test('nothing of a text steers a terminal or turns the direction of what is read', () => {
  for (const text of hostile) expect(visible(`a${text}b`)).not.toMatch(steering)
  expect(visible('Zoë 東京 שלום')).toBe('Zoë 東京 שלום')
})

test('JSON says the same, with escapes', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(...hostile), (value, text) => {
      const written = visibleJson({ [text]: [value, text] })
      expect(written).not.toMatch(steering)
      expect(JSON.parse(written)).toEqual(JSON.parse(JSON.stringify({ [text]: [value, text] })))
    }),
  )
})

test('a log line for people is one line, whatever its fields hold', () => {
  const lines: string[] = []
  const log = createLog({ level: 'info', format: 'line', colour: false, write: (line) => lines.push(line) })
  log.warn({ group: hostile.join(''), error: hostile.join('') }, 'text')
  expect(lines.join('').replace(/\n$/, '')).not.toMatch(steering)
})
