import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { validate, verdictText } from '../../../src/cli/validate.ts'

let folder = ''
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'millrace-validate-'))))
afterAll(() => rmSync(folder, { recursive: true }))

const schema = { properties: { id: { type: 'string' }, who: { type: 'string' }, at: { type: 'integer' } } }
const topology = `version: 1
name: x
kafka: {brokers: "localhost:1"}
sources:
  s: {role: score, topic: in, codec: {json: s.json}, id: id, key: who, time: at}
values: {hour: hourUtc(at)}
model: {path: m.onnx, inputs: {x: [hour]}, score: y}
sinks: {predictions: {topic: a}, alerts: {topic: b}}
`

function write(name: string, text: string): string {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}

test('a good file is ok, with its schema and model beside it', async () => {
  write('s.json', JSON.stringify(schema))
  write('m.onnx', '')
  const file = write('good.yaml', topology)
  expect(verdictText([await validate(file, {})])).toBe(`${file}: ok\n`)
})

test('each problem is one line that begins with the place', async () => {
  write('s.json', JSON.stringify(schema))
  const file = write(
    'bad.yaml',
    topology.replace('hourUtc(at)', 'hourUtc(when)').replace('m.onnx', 'gone.onnx'),
  )
  const lines = verdictText([await validate(file, {})]).split('\n')
  expect(lines).toEqual([
    `${file}:6:24  values.hour: unknown variable: when. Known: id, who, at.`,
    `${file}:7:15  model.path: there is no model at ${join(folder, 'gone.onnx')} (ENOENT). ` +
      'Paths are relative to the topology file; train or fetch the model first.',
    '',
  ])
})

test('what works and is probably not meant so is a warning, and the file is ok', async () => {
  write('s.json', JSON.stringify(schema))
  write('m.onnx', '')
  const file = write('warns.yaml', topology.replace('hourUtc(at)', 'size(who) / 4'))
  expect(verdictText([await validate(file, {})])).toBe(
    `${file}:6:16  values.hour: warning: size(who) / 4 divides two whole numbers, which drops what is behind the point. ` +
      `Write size(who) / 4.0, or int(…) around it when that is meant.\n${file}: ok, with a warning\n`,
  )
})

test('a file that is not there is a problem of that file', async () => {
  expect(await validate(join(folder, 'gone.yaml'), {})).toMatchObject({
    problems: [{ line: 1, column: 1, message: 'the file cannot be read (ENOENT).' }],
  })
})
