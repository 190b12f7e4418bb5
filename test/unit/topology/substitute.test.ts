import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { substitute } from '../../../src/topology/substitute.ts'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-substitute-'))
  writeFileSync(join(folder, 'secret'), 'two\nlines\n')
  writeFileSync(join(folder, 'large'), 'x'.repeat(65 * 1024))
})
afterAll(() => rmSync(folder, { recursive: true }))

const env = { NAME: 'value', EMPTY: '', NESTED: '${env:NAME}' }

test.each([
  ['no reference', 'no reference'],
  ['${env:NAME}', 'value'],
  ['a.${env:NAME}.${env:NAME}', 'a.value.value'],
  ['${env:GONE:-other}', 'other'],
  ['${env:GONE:-}', ''],
  ['${env:EMPTY:-other}', 'other'],
  ['${env:EMPTY}', ''],
  ['${env:GONE:-redis://127.0.0.1:6379}', 'redis://127.0.0.1:6379'],
  ['${env:GONE:-dlq.{topic}}', 'dlq.{topic}'],
  ['${env:NESTED}', '${env:NAME}'],
  ['${file:secret}', 'two\nlines'],
  ['dlq.{topic}', 'dlq.{topic}'],
])('%j becomes %j', (text, expected) => {
  expect(substitute(text, { env, folder })).toMatchObject({ text: expected, problems: [] })
})

test.each([
  ['${env:GONE}', 'the environment variable GONE is not set.', '${env:GONE:-default}'],
  ['${NAME}', '${NAME} is not a reference.', '${env:NAME}'],
  ['${env}', '${env} is not a reference.', '${env:NAME:-default}'],
  ['${NAME:-x}', 'is not a reference.', '${env:NAME}'],
  ['${file:gone}', 'cannot be read (ENOENT)', 'relative to the topology file'],
  ['${file:large}', 'more than 65536', 'smaller file'],
])('%j is a problem', (text, message, suggestion) => {
  const { problems, changed } = substitute(text, { env, folder })
  expect(changed).toBe(false)
  expect(problems).toHaveLength(1)
  expect(problems[0]!.message).toContain(message)
  expect(problems[0]!.suggestion).toContain(suggestion)
})
