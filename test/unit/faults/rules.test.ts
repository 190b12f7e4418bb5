import { expect, test } from 'vitest'
import { createRandom } from '../../../src/simulator/random.ts'
import { ArmedRule, type WireRule } from '../../faults/wire/rules.ts'

const drop = { kind: 'drop' } as const
const request = { names: ['EndTxn'], bytes: Buffer.from('x') }

/** Which of `count` matches a rule acts on, counted from 1. */
function acted(rule: Partial<WireRule>, count = 6, seed = 1): number[] {
  const armed = new ArmedRule({ on: 'EndTxn', at: 'request', action: drop, ...rule }, createRandom(seed))
  return Array.from({ length: count }, (_, index) => index + 1).filter(() =>
    armed.meets('request', request.names, request),
  )
}

test('a plain rule always acts; nth, times and both together count', () => {
  expect(acted({})).toEqual([1, 2, 3, 4, 5, 6])
  expect(acted({ nth: 3 })).toEqual([3])
  expect(acted({ times: 2 })).toEqual([1, 2])
  expect(acted({ nth: 3, times: 2 })).toEqual([3, 4])
})

test('a rule acts on its own name and point only, or on every name', () => {
  expect(acted({ on: 'Produce' })).toEqual([])
  expect(acted({ at: 'reply' })).toEqual([])
  expect(acted({ on: '*' }, 1)).toEqual([1])
})

test('what a filter refuses is not counted', () => {
  let asked = 0
  expect(acted({ where: () => ++asked > 2, nth: 2 })).toEqual([4])
})

test('a probability acts by its seed, and times counts what it acted on', () => {
  const first = acted({ probability: 0.3 }, 200)
  expect(first).toEqual(acted({ probability: 0.3 }, 200))
  expect(first).not.toEqual(acted({ probability: 0.3 }, 200, 2))
  expect(first.length).toBeGreaterThan(30)
  expect(first.length).toBeLessThan(90)
  expect(acted({ probability: 0.3, times: 3 }, 200)).toEqual(first.slice(0, 3))
})

test('a handle tells the first request it acted on, and counts until it is removed', async () => {
  const armed = new ArmedRule({ on: '*', at: 'request', action: drop, nth: 2, times: 5 }, createRandom(1))
  const second = { ...request, bytes: Buffer.from('second') }
  for (const one of [request, second, request]) armed.meets('request', one.names, one)
  armed.remove()
  armed.meets('request', request.names, request)
  expect(armed.hits).toBe(2)
  expect(await armed.hit).toBe(second)
})
