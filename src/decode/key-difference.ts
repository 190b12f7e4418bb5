import { show } from './fault.ts'

/** The record key as people write it and, where it only is written in another way than the key field, in which. */
export function keyDifference(key: string, recordKey: Buffer): string {
  const text = recordKey.toString('utf8')
  const how = ways.find(([, isSame]) => isSame(key, text, recordKey))?.[0]
  return how === undefined ? show(text) : `${show(text)}: ${how}`
}

type Way = readonly [how: string, isSame: (key: string, text: string, bytes: Buffer) => boolean]

const ways: readonly Way[] = [
  [
    'the same text in another Unicode normal form (NFC, NFD); write both in the same one',
    (key, text) => key.normalize('NFC') === text.normalize('NFC'),
  ],
  [
    'the record key is written as JSON text, in quotes; write it as plain text',
    (key, text) => jsonText(text) === key,
  ],
  ['the record key begins with a byte order mark', (key, text) => `\ufeff${key}` === text],
  ['only spaces around it differ', (key, text) => key.trim() === text.trim()],
  ['only upper and lower case differ', (key, text) => key.toLowerCase() === text.toLowerCase()],
  [
    'the record key is a binary number; write it as decimal text',
    (key, _, bytes) => key === binaryNumber(bytes),
  ],
  [
    'the record key is framed by a schema registry, which is not read; write it as plain text',
    (_, __, bytes) => bytes[0] === 0 && bytes.length > 5,
  ],
]

function jsonText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** What serializers of Java make of an Integer or a Long. */
function binaryNumber(bytes: Buffer): string | null {
  if (bytes.length === 4) return String(bytes.readInt32BE())
  return bytes.length === 8 ? String(bytes.readBigInt64BE()) : null
}
