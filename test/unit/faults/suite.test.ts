import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { faults } from '../../faults/coverage.ts'
import { root } from '../../faults/results.ts'
import { sabotages } from '../../faults/sabotages.ts'
import { differentialMutants } from '../../differential/mutants.ts'
import { mutants } from '../../simulation/mutants.ts'
import { slice } from '../../faults/slice.ts'
import { scenarios } from '../../faults/scenarios/index.ts'

const textOf = (file: string): string =>
  existsSync(join(root, file)) ? readFileSync(join(root, file), 'utf8') : ''

test('every fault of the list is shown by a scenario or by a test that exists', () => {
  const shown = new Set(scenarios.flatMap(({ covers }) => covers))
  expect(faults.filter(({ id, tests = [] }) => !shown.has(id) && tests.length === 0)).toEqual([])
  const named = faults.flatMap(({ tests = [] }) => tests)
  const missing = named.filter((test) => {
    const colon = test.indexOf(': ')
    return !textOf(test.slice(0, colon)).includes(test.slice(colon + 2))
  })
  expect(missing).toEqual([])
})

test('scenarios have names of their own, and show faults that are on the list', () => {
  const names = scenarios.map(({ name }) => name)
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([])
  const known = new Set(faults.map(({ id }) => id))
  expect(scenarios.flatMap(({ covers }) => covers).filter((id) => !known.has(id))).toEqual([])
})

test('every sabotage fits the source, once, and is shown to something that exists', () => {
  const wrong = sabotages.flatMap(({ name, edits, shown }) => {
    const unfit = edits.filter(({ file, find }) => textOf(file).split(find).length !== 2)
    const exists =
      'scenario' in shown
        ? scenarios.some((one) => one.name === shown.scenario)
        : textOf(shown.test).includes(shown.named)
    return [
      ...unfit.map(({ file, find }) => `${name}: not once in ${file}: ${find}`),
      ...(exists && edits.length > 0 ? [] : [`${name}: shown to nothing`]),
    ]
  })
  expect(wrong).toEqual([])
  expect(sabotages.length).toBeGreaterThanOrEqual(10)
})

test('every mutant of the simulation and of the differential test fits the source, once', () => {
  const unfit = [...mutants, ...differentialMutants].filter(
    ({ file, find }) => textOf(file).split(find).length !== 2,
  )
  expect(unfit.map(({ name, file }) => `${name}: not once in ${file}`)).toEqual([])
  expect(mutants.length).toBeGreaterThanOrEqual(40)
})

test('the slice for continuous integration has every kind of fault that scenarios show', () => {
  const groups = new Map(scenarios.map(({ name, group }) => [name, group]))
  expect([...slice.keys()].filter((name) => !groups.has(name))).toEqual([])
  const kinds = new Set([...slice.keys()].map((name) => groups.get(name)))
  expect(kinds).toEqual(new Set(groups.values()))
})
