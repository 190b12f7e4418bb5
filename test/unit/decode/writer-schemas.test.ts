import { describe, expect, test } from 'vitest'
import { WriterSchemas, type SchemaWait } from '../../../src/decode/writer-schemas.ts'
import { MillraceError } from '../../../src/errors.ts'
import type { RegisteredSchema } from '../../../src/registry/registry.ts'
import { manualClock, type ManualClock } from '../../../src/time/manual-clock.ts'

type Answer = 'unknown' | 'down' | 'refused' | 'known'

function setup(answer: () => Answer, known?: number) {
  const clock = manualClock()
  const waits: SchemaWait[] = []
  let asked = 0
  const schemas = new WriterSchemas({
    registry: {
      url: 'http://registry',
      latestId: () => Promise.resolve(null),
      schemaFor: () => Promise.resolve(null),
      writerSchema: (id): Promise<RegisteredSchema | null> => {
        asked++
        const now = answer()
        if (now === 'unknown') return Promise.resolve(null)
        if (now === 'known') return Promise.resolve({ kind: 'avro', id, schema: '"string"' })
        const code = now === 'down' ? 'REGISTRY_UNREACHABLE' : 'REGISTRY_UNAUTHORISED'
        return Promise.reject(new MillraceError(code, now))
      },
    },
    clock,
    compile: (schema) => `compiled ${schema.id}`,
    onWait: (wait) => waits.push(wait),
    ...(known === undefined ? {} : { known }),
  })
  return { clock, waits, schemas, asked: () => asked }
}

/** Moves the clock from pause to pause until `done` says so. */
async function passUntil(clock: ManualClock, done: () => boolean): Promise<void> {
  for (let i = 0; i < 100 && !done(); i++) await clock.advance(1_000)
}

const { signal } = new AbortController()

describe('loading writer schemas', () => {
  test('asks once for each id', async () => {
    const { schemas, asked } = setup(() => 'known')
    await schemas.load([1, 2], signal)
    await schemas.load([2, 1], signal)
    expect(asked()).toBe(2)
    expect(schemas.get(1)).toBe('compiled 1')
  })

  test.each<[Answer, string]>([
    ['unknown', 'SCHEMA_UNKNOWN'],
    ['down', 'REGISTRY_UNREACHABLE'],
  ])('waits while the registry is or says %s, and tells so', async (trouble, code) => {
    let now: Answer = trouble
    const { clock, schemas, waits } = setup(() => now)
    let loaded = false
    const loading = schemas.load([7], signal).then(() => (loaded = true))
    await passUntil(clock, () => waits.length >= 8)
    expect(loaded).toBe(false)
    expect(waits.at(-1)).toMatchObject({ schemaId: 7, error: { code } })
    const pauses = waits.slice(1).map((wait, i) => wait.waitedMs - (waits[i]?.waitedMs ?? 0))
    expect(Math.max(...pauses)).toBeLessThanOrEqual(6_000) // 5 s and the step of this test's clock
    now = 'known'
    await passUntil(clock, () => loaded)
    await loading
    expect(schemas.get(7)).toBe('compiled 7')
  })

  test('asks once between several that wait for the same id', async () => {
    let now: Answer = 'unknown'
    const { clock, schemas, asked } = setup(() => now)
    const all = Promise.all(Array.from({ length: 20 }, () => schemas.load([7], signal)))
    await clock.advance(0)
    expect(asked()).toBe(1)
    await clock.advance(100)
    expect(asked()).toBe(2)
    now = 'known'
    await clock.advance(10_000)
    await all
    expect(asked()).toBe(3)
  })

  test('stops waiting when the signal says so', async () => {
    const { clock, schemas } = setup(() => 'unknown')
    const controller = new AbortController()
    const loading = schemas.load([7], controller.signal)
    await clock.advance(500)
    controller.abort(new Error('partition revoked'))
    await expect(loading).rejects.toThrow('partition revoked')
    expect(clock.sleeping).toBe(0)
  })

  test('does not wait when the registry refuses the credentials', async () => {
    const { schemas } = setup(() => 'refused')
    await expect(schemas.load([7], signal)).rejects.toMatchObject({ code: 'REGISTRY_UNAUTHORISED' })
  })

  test('keeps a bounded number, the last used ones', async () => {
    const { schemas } = setup(() => 'known', 2)
    await schemas.load([1, 2], signal)
    await schemas.load([2], signal)
    expect([1, 2].map((id) => schemas.get(id))).toEqual(['compiled 1', 'compiled 2'])
    await schemas.load([1], signal)
    await schemas.load([3], signal)
    expect([1, 2, 3].map((id) => schemas.get(id))).toEqual(['compiled 1', undefined, 'compiled 3'])
  })
})
