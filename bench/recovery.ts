/**
 * Measures how long partitions stand still when their owner crashes, is stopped, or Redis is emptied, at several sizes
 * of the state: `node bench/recovery.ts [--entities 1000,100000,1000000] [--rounds 5]`. Two processes on a local
 * stack with the brokers' default limits and the default session timeout; 4 partitions; 200 events/s all the while.
 * Prints a Markdown table. Silence: the longest time without a commit of an affected partition, ms.
 */
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openStack } from '../src/stack/stack.ts'
import { systemClock } from '../src/time/system-clock.ts'
import { CommitMeter } from '../test/faults/commit-meter.ts'
import { CardWorld } from '../test/support/card-world.ts'
import type { ServiceProcess } from '../test/support/service-process.ts'

const { values } = parseArgs({
  options: {
    entities: { type: 'string', default: '1000,100000,1000000' },
    rounds: { type: 'string', default: '5' },
  },
})
const partitions = 4
const preloadRows = 10_000
const liveRowsPerTick = 4
const liveTickMs = 20
/** Commits come every 20 ms or so. */
const stillMs = 500
/** A fault shows within this time; a partition that stands still by then is waited for. */
const watchedMs = 3_000
const settleMs = 2_000
const firstTime = Date.UTC(2026, 0, 5)

interface Outcome {
  readonly silenceMs: number
  readonly reappliedRows: number
}

const dir = await mkdtemp(join(tmpdir(), 'millrace-recovery-'))
await using stack = await openStack({ dir, temporary: true })
const servers = { brokers: stack.brokers.split(','), redisUrl: stack.redisUrl, sessionTimeout: '6s' }

console.log('| entities | fault | rounds | silence p50 ms | silence max ms | rows applied again p50 | max |')
console.log('|---|---|---|---|---|---|---|')
for (const text of values.entities.split(',')) await measure(Number(text), Number(values.rounds))

async function measure(entities: number, rounds: number): Promise<void> {
  const world = new CardWorld(join(dir, `world-${entities}`), servers)
  await world.open()
  const meter = new CommitMeter(world.kafka, world.plan.kafka.group, world.sourceTopics, () => new Map())
  const live = new AbortController()
  let writing: Promise<void> = Promise.resolve()
  try {
    let made = 0
    const write = async (rows: number): Promise<void> => {
      const messages = Array.from({ length: rows }, () => eventOf(made++, entities))
      await world.producer.send({ topic: world.topics.transactions, messages })
    }
    while (made < entities) await write(Math.min(preloadRows, entities - made))
    const running = [world.start(), world.start()]
    meter.open()
    await committed(meter, world, entities)
    writing = (async () => {
      while (!live.signal.aborted) {
        await write(liveRowsPerTick)
        await systemClock.sleep(liveTickMs)
      }
    })()
    await bothServe(running)
    await report(entities, 'SIGKILL of one of two', rounds, async () => {
      const [victim, heir] = running.splice(0, 2) as [ServiceProcess, ServiceProcess]
      const outcome = await silence(meter, world, [heir], victim.owned(), () => victim.kill())
      running.push(heir, world.start())
      await bothServe(running)
      return outcome
    })
    await report(entities, 'SIGTERM of one of two', rounds, async () => {
      const [victim, heir] = running.splice(0, 2) as [ServiceProcess, ServiceProcess]
      const outcome = await silence(meter, world, [heir], victim.owned(), async () => {
        const { code } = await victim.stop()
        if (code !== 0) throw new Error(`exit code ${code} after SIGTERM`)
      })
      running.push(heir, world.start())
      await bothServe(running)
      return outcome
    })
    await report(entities, 'FLUSHALL', 1, () =>
      silence(meter, world, running, [0, 1, 2, 3], () => world.forget()),
    )
  } catch (error) {
    console.error(world.tail())
    throw error
  } finally {
    live.abort()
    await writing
    await meter.close()
    await world.close()
  }
}

function eventOf(
  made: number,
  entities: number,
): { key: string; value: string; partition: number; timestamp: string } {
  const customer = made % entities
  const ts = firstTime + made // a million events in a quarter of an hour: all within the windows
  const fields = {
    id: `tx-${made}`,
    customer: `c${customer}`,
    terminal: 't1',
    amountCents: 1_000 + (made % 500),
    tier: 1,
    ts,
  }
  return {
    key: fields.customer,
    value: JSON.stringify(fields),
    partition: customer % partitions,
    timestamp: String(ts),
  }
}

async function bothServe(running: readonly ServiceProcess[]): Promise<void> {
  for (const one of running)
    await one.until(
      () => (one.owned().length === partitions / running.length ? true : null),
      'its half is served',
    )
  await systemClock.sleep(settleMs)
}

/** Does `fault`, waits until all `affected` partitions commit again, and looks for their longest silence. */
async function silence(
  meter: CommitMeter,
  world: CardWorld,
  heirs: readonly ServiceProcess[],
  affected: readonly number[],
  fault: () => Promise<unknown>,
): Promise<Outcome> {
  const lines = heirs.map((heir) => heir.lines.length)
  const at = systemClock.monotonic()
  await fault()
  const doneAt = systemClock.monotonic()
  const places = affected.map((partition) => placeOf(world, partition))
  const isQuiet = (place: string): boolean => systemClock.monotonic() - meter.movedAt(place) > stillMs
  do await meter.next()
  while (systemClock.monotonic() - doneAt < watchedMs || places.some(isQuiet))
  const longest = Math.max(...places.map((place) => meter.longestSilence(place, at)))
  const reappliedRows = heirs
    .flatMap((heir, index) => heir.lines.slice(lines[index]))
    .reduce((sum, { status, detail = '' }) => sum + (status === 'replaying' ? replayed(detail) : 0), 0)
  return { silenceMs: longest, reappliedRows }
}

/** Of "re-applying offsets 10 to 25". */
function replayed(detail: string): number {
  const [from = 0, to = 0] = (detail.match(/\d+/g) ?? []).map(Number)
  return to - from
}

async function report(
  entities: number,
  fault: string,
  rounds: number,
  round: () => Promise<Outcome>,
): Promise<void> {
  const outcomes: Outcome[] = []
  for (let i = 0; i < rounds; i++) outcomes.push(await round())
  const [silences, rows] = [outcomes.map((one) => one.silenceMs), outcomes.map((one) => one.reappliedRows)]
  const cells = [
    entities,
    fault,
    rounds,
    median(silences),
    Math.max(...silences),
    median(rows),
    Math.max(...rows),
  ]
  console.log(`| ${cells.map((cell) => (typeof cell === 'number' ? Math.round(cell) : cell)).join(' | ')} |`)
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0
}

async function committed(meter: CommitMeter, world: CardWorld, rows: number): Promise<void> {
  const sum = (): number =>
    Array.from({ length: partitions }, (_, partition) => meter.offset(placeOf(world, partition))).reduce(
      (a, b) => a + b,
    )
  while (sum() < rows) {
    if (world.processes.some(({ exit }) => exit !== null)) throw new Error('a process ended')
    await meter.next()
  }
}

function placeOf(world: CardWorld, partition: number): string {
  return `${world.topics.transactions}:${partition}`
}
