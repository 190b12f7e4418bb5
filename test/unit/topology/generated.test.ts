import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { parse } from 'yaml'
import { expect, test } from 'vitest'
import { generated } from '../../../scripts/generate-schemas.ts'
import { topologyJsonSchema } from '../../../src/topology/json-schema.ts'
import { topology } from './written.ts'

const root = resolve(import.meta.dirname, '../../..')
const validate = new Ajv2020({ strict: false }).compile(topologyJsonSchema())

test.each([...generated(pathToFileURL(`${root}/`))])(
  '%s is fresh: run scripts/generate-schemas.ts',
  (path, content) => {
    expect(readFileSync(resolve(root, path), 'utf8')).toBe(content)
  },
)

test.each(['topologies/card-fraud.yaml', 'bench/topology.yaml'])('editors accept %s', (path) => {
  expect(validate(parse(readFileSync(resolve(root, path), 'utf8'))), JSON.stringify(validate.errors)).toBe(
    true,
  )
})

test.each([
  ['window: 7d', 'window: 7 days'],
  ['role: score', 'role: scored'],
  ['where: fraud', 'when: fraud'],
  ['sinks:', 'sink:'],
])('editors refuse %j written as %j', (from, to) => {
  expect(validate(parse(topology([from, to])))).toBe(false)
})

test('every key is described', () => {
  const missing: string[] = []
  const walk = (schema: unknown, path: string): void => {
    if (typeof schema !== 'object' || schema === null) return
    for (const [name, member] of Object.entries(schema)) {
      if (name === 'properties') {
        for (const [key, property] of Object.entries(member as Record<string, { description?: string }>)) {
          if (property.description === undefined) missing.push(`${path}.${key}`)
        }
      }
      walk(member, name === 'properties' || name === 'anyOf' ? path : `${path}.${name}`)
    }
  }
  walk(topologyJsonSchema(), '')
  expect(missing).toEqual([])
})
