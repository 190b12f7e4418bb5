import { describe, expect, test } from 'vitest'
import { legalPhases, Lifecycle, phases, type Phase } from '../../../src/service/lifecycle.ts'

/** A lifecycle brought to `phase` by legal moves. */
function at(phase: Phase): Lifecycle {
  const routes: Record<Phase, readonly Phase[]> = {
    starting: [],
    running: ['running'],
    draining: ['running', 'draining'],
    stopped: ['running', 'draining', 'stopped'],
    failed: ['failed'],
  }
  const lifecycle = new Lifecycle(() => undefined)
  for (const step of routes[phase]) lifecycle.moveTo(step)
  return lifecycle
}

describe('the life of a service', () => {
  test.each(phases.flatMap((from) => phases.map((to) => [from, to] as const)))(
    'from %s to %s only as the table says',
    (from, to) => {
      const lifecycle = at(from)
      if (legalPhases[from].includes(to)) {
        lifecycle.moveTo(to)
        expect(lifecycle.phase).toBe(to)
      } else {
        expect(() => lifecycle.moveTo(to)).toThrow(`from ${from} to ${to}`)
        expect(lifecycle.phase).toBe(from)
      }
    },
  )

  test('every change is announced', () => {
    const seen: Phase[] = []
    const lifecycle = new Lifecycle((phase) => seen.push(phase))
    lifecycle.moveTo('running')
    lifecycle.moveTo('draining')
    expect(seen).toEqual(['running', 'draining'])
  })
})
