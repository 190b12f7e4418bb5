import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { validate, verdictText } from '../../../src/cli/validate.ts'
import { crashes } from '../../support/crash-value.ts'
import { linearManifest, modelDirectory, modelFile } from '../../support/models.ts'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-validate-'))
  write('s.json', JSON.stringify(schema))
  copyFileSync(modelFile('linear.onnx'), join(folder, 'm.onnx'))
})
afterAll(() => rmSync(folder, { recursive: true }))
vi.setConfig({ testTimeout: 60_000 }) // real model processes

const schema = { properties: { id: { type: 'string' }, who: { type: 'string' }, at: { type: 'integer' } } }
const topology = `version: 1
name: x
kafka: {brokers: "localhost:1"}
sources:
  s: {role: score, topic: in, codec: {json: s.json}, id: id, key: who, time: at}
values: {hour: hourUtc(at), minute: minuteUtc(at), day: weekdayUtc(at)}
model: {path: m.onnx, inputs: {features: [hour, minute, day]}, score: score}
sinks: {predictions: {topic: a}, alerts: {topic: b}}
`

function write(name: string, text: string): string {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}

/** The topology with another model. */
function withModel(path: string): string {
  return write('model.yaml', topology.replace('m.onnx', path))
}

test('a good file is ok, with its schema and model beside it, and what cannot be checked is said', async () => {
  const file = write('good.yaml', topology)
  const verdict = await validate(file, {})
  expect(verdict).toMatchObject({ problems: [], modelOpened: true })
  const [first, ...notes] = verdictText([verdict]).trimEnd().split('\n')
  expect(first).toBe(`${file}: ok`)
  expect(notes).toHaveLength(3)
  expect(notes[0]).toBe(
    `${file}: note: the service does not check that the features are those it was trained on (no manifest.yaml)`,
  )
})

test('each problem is one line that begins with the place', async () => {
  const file = write(
    'bad.yaml',
    topology.replace('hourUtc(at)', 'hourUtc(when)').replace('m.onnx', 'gone.onnx'),
  )
  const lines = verdictText([await validate(file, {})]).split('\n')
  expect(lines).toEqual([
    `${file}:6:24  values.hour: unknown variable: when. Known: id, who, at.`,
    `${file}:7:15  model.path: there is no model at ${join(folder, 'gone.onnx')} (ENOENT). ` +
      'Paths are relative to the topology file; train or fetch the model first.',
    `${file}: note: the model was not opened: correct the topology first`,
    '',
  ])
})

test('what works and is probably not meant so is a warning, and the file is ok', async () => {
  write('s.json', JSON.stringify(schema))
  write('m.onnx', '')
  const file = write('warns.yaml', topology.replace('hourUtc(at)', 'size(who) / 4'))
  expect(verdictText([await validate(file, {}, { model: false })])).toBe(
    `${file}:6:16  values.hour: warning: size(who) / 4 divides two whole numbers, which drops what is behind the point. ` +
      `Write size(who) / 4.0, or int(…) around it when that is meant.\n${file}: ok, with a warning\n${file}: note: the model was not opened (--no-model)\n`,
  )
})

test('a file that is not there is a problem of that file', async () => {
  expect(await validate(join(folder, 'gone.yaml'), {})).toMatchObject({
    problems: [{ line: 1, column: 1, message: 'the file cannot be read (ENOENT).' }],
  })
})

describe('the model', () => {
  test.each([
    ['softmax-over-batch', 'depends on the rows beside it'],
    ['inner-batch-of-1', 'fail in a batch of 2'],
    ['text-input', 'is not a float32 tensor'],
    ['custom-operator', 'Fancy of com.example'],
    ['newer-opset', 'this onnxruntime takes up to'],
    ['catboost', 'CatBoost has no option'],
  ])('%s is a problem at its path, with what the start would say', async (name, text) => {
    const file = withModel(modelFile(`${name}.onnx`))
    const { problems, modelOpened } = await validate(file, {})
    expect(modelOpened).toBe(true)
    expect(problems).toMatchObject([
      { file, line: 7, column: 15, path: 'model.path', message: expect.stringContaining(text) as string },
    ])
  })

  test('of a directory is compared with its manifest', async () => {
    await using model = await modelDirectory('linear.onnx', { 'manifest.yaml': linearManifest })
    const { problems } = await validate(withModel(model.path), {})
    expect(problems[0]?.message).toContain('The manifest beside')
  })

  test('that crashes is a message, not a crash of the command', async () => {
    vi.stubEnv('NODE_OPTIONS', `--import ${new URL('../../support/crashing-model.ts', import.meta.url).href}`)
    const manifest = (vectorHash: string): unknown => ({
      ...linearManifest,
      vectorHash,
      inputs: [
        {
          name: 'features',
          type: 'float32',
          features: ['hour', 'minute', 'day'].map((name) => ({ name, range: [crashes, crashes] })),
        },
      ],
    })
    const messageWith = async (vectorHash: string): Promise<string> => {
      await using model = await modelDirectory('linear.onnx', { 'manifest.yaml': manifest(vectorHash) })
      return (await validate(withModel(model.path), {})).problems.map(({ message }) => message).join()
    }
    const [, hash = ''] = /vector hash (\w+)/.exec(await messageWith('another')) ?? []
    expect(await messageWith(hash)).toMatch(/does not survive being opened and tried .*SIGSEGV/s)
    vi.unstubAllEnvs()
  })

  test('is not looked at with --no-model, which is said', async () => {
    const file = withModel('gone.onnx')
    const verdict = await validate(file, {}, { model: false })
    expect(verdict).toMatchObject({ problems: [], modelOpened: false })
    expect(verdictText([verdict])).toBe(`${file}: ok\n${file}: note: the model was not opened (--no-model)\n`)
  })
})
