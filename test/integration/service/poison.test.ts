import { afterEach, expect, test, vi } from 'vitest'
import { aloneLostMax, slicesLostMax } from '../../../src/pipeline/attempt.ts'
import { parseMetadata } from '../../../src/pipeline/metadata.ts'
import { crashes } from '../../support/crash-value.ts'
import { checkExactlyOnce, deadLetterPosition, type Outputs } from '../../support/exactly-once.ts'
import { modelProcessesOf } from '../../support/process-list.ts'
import type { Exit } from '../../support/service-process.ts'
import { CardTraffic } from '../../support/service-records.ts'
import { openWorld, type LoggedInput, type ServiceWorld } from '../../support/service-world.ts'

afterEach(() => void vi.unstubAllEnvs())

/** slow.onnx turns as often as the largest tier of the batch: with this one for half an hour. */
const hangs = 2_000_000_000
const hasTier =
  (tier: number) =>
  ({ event }: LoggedInput): boolean =>
    event?.fields['tier'] === tier
const isKiller = hasTier(hangs)
const inputs = { features: ['riskTier', 'customer_count_10m', 'customer_count_1h'] }
const hangingModel = {
  path: 'slow.onnx',
  runTimeout: '2s',
  inputs,
}

/** Restarts the service whenever it ends, as a supervisor does, until everything is committed. */
async function supervise(world: ServiceWorld, restartsMax: number): Promise<Exit[]> {
  const exits: Exit[] = []
  for (;;) {
    const service = world.start()
    const caughtUp = world.caughtUp().then(
      () => null,
      () => service.exited,
    )
    const exit = await Promise.race([service.exited, caughtUp])
    if (exit === null) return exits
    exits.push(exit)
    if (exits.length > restartsMax) throw new Error(`ended ${exits.length} times, and there is still work`)
  }
}

function reasonsOf({ deadLetters }: Outputs, reason: string): Outputs['deadLetters'] {
  return deadLetters.filter(({ headers }) => headers['millrace.dlq.reason'] === reason)
}

test(
  'a row that hangs the process becomes a dead letter after a bounded number of restarts; all others are predicted as if it had never been',
  { timeout: 300_000 },
  async () => {
    const world = await openWorld({ partitions: 2, change: { model: hangingModel } })
    const traffic = new CardTraffic({ seed: 21, partitions: 2, customers: 12 })
    await world.write([...traffic.next(500), traffic.one({ tier: hangs }), ...traffic.next(500)])
    const killer = world.input.find(isKiller)!

    const exits = await supervise(world, 2 + slicesLostMax + aloneLostMax)

    expect(exits.every(({ signal }) => signal === 'SIGKILL')).toBe(true)
    expect(exits.length).toBeGreaterThanOrEqual(slicesLostMax + aloneLostMax)
    const outputs = await checkExactlyOnce(world, { killers: isKiller })
    const [letter] = reasonsOf(outputs, 'POISON')
    expect(deadLetterPosition(letter!)).toEqual({
      topic: world.topics.transactions,
      partition: killer.partition,
      offset: killer.offset,
    })
    expect(letter?.headers).toMatchObject({
      'millrace.dlq.attempts': String(slicesLostMax + aloneLostMax),
      '__dlq.errors.message': expect.stringContaining('neither scored nor applied') as string,
    })
    const quarantined = (await world.positions()).map(({ metadata }) => parseMetadata(metadata)?.quarantine)
    expect(quarantined.flat()).toEqual([killer.offset])

    // What was quarantined stays out when Redis is lost and the windows are built from the log again.
    await world.forget()
    await world.write(traffic.next(300))
    await world.caughtUp()
    await checkExactlyOnce(world, { killers: isKiller })
  },
)

test(
  'with the model in a process of its own, the service survives: the row that hangs gets a dead letter and counts in features',
  { timeout: 120_000 },
  async () => {
    const world = await openWorld({
      partitions: 2,
      change: { model: { ...hangingModel, isolation: 'process' } },
    })
    const traffic = new CardTraffic({ seed: 22, partitions: 2, customers: 12 })
    const service = world.start()
    await world.write([...traffic.next(500), traffic.one({ tier: hangs }), ...traffic.next(500)])
    await world.caughtUp()
    const outputs = await checkExactlyOnce(world, { poison: isKiller })
    expect(reasonsOf(outputs, 'INFERENCE').map(({ headers }) => headers['__dlq.errors.message'])).toEqual([
      expect.stringContaining('a run of 1 row did not end within 2000 ms'),
    ])

    // Killed from outside in the middle of a run, it costs no row anything.
    await world.write([traffic.one({ tier: 200_000 }), ...traffic.next(50)]) // a fifth of a second of work; 2 s are a hang
    const [model = 0] = await modelProcessesOf(service.pid)
    process.kill(model, 'SIGKILL')
    await world.caughtUp()
    await checkExactlyOnce(world, { poison: isKiller })
    expect(service.exit).toBeNull()
    expect(await service.stop()).toEqual({ code: 0, signal: null })
  },
)

/** The native code of the model crashes on this row. */
const isCrasher = hasTier(crashes)
const withCrashes = (): void => {
  const file = new URL('../../support/crashing-model.ts', import.meta.url)
  vi.stubEnv('NODE_OPTIONS', `--import ${file.href}`)
}

test(
  'a row on which the native code of the model crashes becomes a dead letter like one that hangs',
  { timeout: 300_000 },
  async () => {
    const world = await openWorld({ partitions: 1, change: { model: { inputs } } })
    const traffic = new CardTraffic({ seed: 24, partitions: 1, customers: 12 })
    await world.write([...traffic.next(200), traffic.one({ tier: crashes }), ...traffic.next(200)])
    withCrashes()
    const exits = await supervise(world, 2 + slicesLostMax + aloneLostMax)
    expect(exits.every(({ signal }) => signal === 'SIGSEGV')).toBe(true)
    expect(exits.length).toBeGreaterThanOrEqual(slicesLostMax + aloneLostMax)
    expect(reasonsOf(await checkExactlyOnce(world, { killers: isCrasher }), 'POISON')).toHaveLength(1)
  },
)

test(
  'with the model in a process of its own, a native crash costs its row alone',
  { timeout: 120_000 },
  async () => {
    const world = await openWorld({
      partitions: 1,
      change: { model: { inputs, isolation: 'process' } },
    })
    const traffic = new CardTraffic({ seed: 25, partitions: 1, customers: 12 })
    await world.write([...traffic.next(200), traffic.one({ tier: crashes }), ...traffic.next(200)])
    withCrashes()
    const service = world.start()
    await world.caughtUp()
    const outputs = await checkExactlyOnce(world, { poison: isCrasher })
    expect(reasonsOf(outputs, 'INFERENCE').map(({ headers }) => headers['__dlq.errors.message'])).toEqual([
      expect.stringContaining('SIGSEGV'),
    ])
    expect(service.exit).toBeNull()
    expect(await service.stop()).toEqual({ code: 0, signal: null })
  },
)

test(
  'stopped by its dead-letter share again and again, the service suspects no record, and goes on once it is allowed to',
  { timeout: 180_000 },
  async () => {
    const limits = (share: number) => ({ limits: { deadLetterShareMax: { share, of: 200 } } })
    const world = await openWorld({ partitions: 1, change: limits(0.2) })
    const traffic = new CardTraffic({ seed: 23, partitions: 1, badShare: 0.6 })
    await world.write(traffic.next(600))
    for (let start = 0; start < 1 + slicesLostMax + aloneLostMax; start++) {
      const service = world.start()
      expect(await service.exited).toEqual({ code: 1, signal: null })
      expect(service.tail(4)).toContain('DEAD_LETTER_SHARE')
      expect(service.lines.some(({ code }) => code === 'RECORD_POISON')).toBe(false)
    }
    const [position] = await world.positions()
    expect(position?.offset).toBeLessThan(400)
    expect(parseMetadata(position?.metadata ?? '')?.attempt ?? null).toBeNull()
    await world.retopology(limits(1))
    world.start()
    await world.caughtUp()
    const outputs = await checkExactlyOnce(world)
    expect(reasonsOf(outputs, 'POISON')).toEqual([])
  },
)
