import { expect, test } from 'vitest'
import { compileJsonCodec } from '../../../src/decode/json-codec.ts'

const decode = compileJsonCodec({ kind: 'json', schema: { type: 'object' }, schemaPath: 'any.json' })

/** A text, and one before it whose name V8 takes for the escaped one of the same length. */
test.each([
  [String.raw`{"h":1,"\"":2}`, String.raw`{"h":[],"\\":0}`],
  [String.raw`{"id":1,"am\u006funt":2,"x":{}}`, String.raw`{"id":1,"am\\u00":0}`],
  [String.raw`{"a":[{"b":1,"\n":"\\{"}],"n":9007199254740993}`, String.raw`{"b":1,"\\":0}`],
  [String.raw`{"i":{ },"j\t":{"k\/":-0.5}}`, String.raw`{"i":0,"j\\":0}`],
])('member names in %s are what is written, whatever was read before', (text, before) => {
  for (let i = 0; i < 3; i++) {
    const names = JSON.stringify(decode(Buffer.from(before)))
    expect(names).toBe(before)
    const read = decode(Buffer.from(text))
    const [own] = Object.keys(read).slice(1)
    expect(own === undefined || !own.includes('\\')).toBe(true)
    // With whole numbers as digits, and escapes as JSON.stringify writes them.
    const again = JSON.stringify(read, (_, value: unknown) =>
      typeof value === 'bigint' ? Number(value) : value,
    )
    expect(again.replaceAll('\\', '')).toBe(spelt(text))
  }
})

/** Without a backslash, as the test above compares. */
function spelt(text: string): string {
  return text
    .replaceAll(String.raw`\u006f`, 'o')
    .replaceAll(String.raw`\/`, '/')
    .replaceAll('{ }', '{}')
    .replaceAll('9007199254740993', '9007199254740992')
    .replaceAll('\\', '')
}

test('an event with a backslash in a name keeps it, and nothing is added', () => {
  const text = String.raw`{"a\\b":{"c":[{}, {"d\\":1}]},"e":"{\"f\":1}"}`
  expect(decode(Buffer.from(text))).toEqual({ 'a\\b': { c: [{}, { 'd\\': 1 }] }, e: '{"f":1}' })
})
