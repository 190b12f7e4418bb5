import { expect, test } from 'vitest'
import { topologyFile } from '../../../src/cli/topology-argument.ts'

test('the topology is named as an argument or as an option', () => {
  expect(topologyFile('a.yaml', undefined)).toBe('a.yaml')
  expect(topologyFile(undefined, 'a.yaml')).toBe('a.yaml')
  expect(topologyFile('a.yaml', 'a.yaml')).toBe('a.yaml')
})

test('no topology and two different ones are wrong usage', () => {
  expect(() => topologyFile(undefined, undefined)).toThrow(/name the topology file/)
  expect(() => topologyFile('a.yaml', 'b.yaml')).toThrow(/a\.yaml and b\.yaml: name one/)
})
