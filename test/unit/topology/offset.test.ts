import { isMap, isScalar, parseDocument } from 'yaml'
import { expect, test } from 'vitest'
import { offsetInSource } from '../../../src/topology/offset.ts'

/** The place of the first `@` of the value, found through the value, must be that of the first `@` of the text. */
test.each([
  ['plain', 'key: a + @\n'],
  ['double quotes', 'key: "a + @"\n'],
  ['single quotes', "key: 'a + @'\n"],
  ['escaped quotes', 'key: "\\"late\\" in \\"x\\" + @"\n'],
  ['doubled quotes', "key: 'x==''y''&&@'\n"],
  ['a folded block', 'key: >-\n  first &&\n  second + @\n  third\n'],
  ['a literal block', 'key: |\n  first &&\n    second + @\n'],
  ['a plain text over two lines', 'key: first &&\n  second + @\n'],
  ['a quoted text over two lines', 'key: "first &&\n  second + @"\n'],
])('a character in %s is found', (_, text) => {
  const root = parseDocument(text).contents
  const scalar = isMap(root) ? root.items[0]!.value : null
  if (!isScalar(scalar)) throw new Error('no scalar')
  expect(offsetInSource(text, scalar, String(scalar.value).indexOf('@'))).toBe(text.indexOf('@'))
})
