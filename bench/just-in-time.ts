/**
 * Plays payments of a fraud data set live, each label written just before the payment that needs it, and looks for
 * predictions that read less than their windows need: `node bench/just-in-time.ts [--runs 20] [--payments 40000]
 * [--rate 2000] [--processes 1] [--kill]`. Terminals and labels are merged over 4 partitions, labels come 7 days late,
 * event times are of half a year ago and pass a thousand times faster than the clock.
 *
 * Prints one line of JSON per run and a summary: predictions behind (a record that stood in the log before the payment and
 * lies in a window had not been read), how many of them have no flag, wrong features, latency to the score, peak memory.
 */
import { readFileSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Prediction } from '../src/record/prediction.ts'
import { openStack } from '../src/stack/stack.ts'
import { createRandom } from '../src/simulator/random.ts'
import { systemClock } from '../src/time/system-clock.ts'
import { CardWorld } from '../test/support/card-world.ts'
import { readOutputs } from '../test/support/outputs.ts'

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '20' },
    payments: { type: 'string', default: '40000' },
    rate: { type: 'string', default: '2000' },
    processes: { type: 'string', default: '1' },
    kill: { type: 'boolean', default: false },
  },
})
const partitions = 4
const terminals = 400
const customers = 2_000
const dayMs = 86_400_000
const delayMs = 7 * dayMs
const windowMs = 7 * dayMs
const tickMs = 10
/** 40 000 payments are four weeks. */
const stepMs = 60_000
const firstTime = Date.UTC(2026, 0, 5)

/** A record as it was written: `seq` is its place among all. */
interface Written {
  readonly terminal: string
  readonly time: number
  readonly offset: number
  readonly seq: number
}

interface Run {
  readonly predictions: number
  readonly unaligned: number
  readonly behind: number
  readonly behindUnflagged: number
  readonly wrong: number
  readonly wrongUnflagged: number
  readonly scoredAfterMs: { readonly p50: number; readonly p99: number }
  readonly peakMb: number
}

const dir = await mkdtemp(join(tmpdir(), 'millrace-just-in-time-'))
await using stack = await openStack({ dir, temporary: true })
const servers = { brokers: stack.brokers.split(','), redisUrl: stack.redisUrl, sessionTimeout: '6s' }
const runs: Run[] = []
for (let run = 0; run < Number(values.runs); run++) {
  runs.push(await play(run))
  console.log(JSON.stringify({ run, ...runs.at(-1) }))
}
const sum = (of: (run: Run) => number): number => runs.reduce((total, run) => total + of(run), 0)
const median = (of: (run: Run) => number): number =>
  runs.map(of).toSorted((a, b) => a - b)[Math.floor(runs.length / 2)] ?? 0
console.log(
  JSON.stringify({
    runs: runs.length,
    predictions: sum((run) => run.predictions),
    unaligned: sum((run) => run.unaligned),
    behind: sum((run) => run.behind),
    behindUnflagged: sum((run) => run.behindUnflagged),
    wrong: sum((run) => run.wrong),
    wrongUnflagged: sum((run) => run.wrongUnflagged),
    medianP50: median((run) => run.scoredAfterMs.p50),
    medianP99: median((run) => run.scoredAfterMs.p99),
    medianPeakMb: median((run) => run.peakMb),
  }),
)

async function play(run: number): Promise<Run> {
  const world = new CardWorld(join(dir, `world-${run}`), servers, {
    labels: true,
    change: {
      sources: { labels: { outOfOrder: null } },
      limits: { rowsPerTransactionMax: 1_000 },
      store: { cacheMax: '128MB' },
    },
  })
  await world.open()
  try {
    const running = Array.from({ length: Number(values.processes) }, () => world.start())
    for (const one of running) await one.until(() => (one.owned().length > 0 ? true : null), 'it serves')
    const logs = await feed(world, run, async () => {
      if (values.kill) await running[0]?.kill()
    })
    await world.caughtUp()
    const peaks = running.filter(({ exit }) => exit === null).map(({ pid }) => peakMb(pid))
    const { predictions } = await readOutputs(world)
    return judge(
      world,
      predictions.map(({ value }) => value),
      logs,
      Math.max(...peaks),
    )
  } finally {
    await world.close()
  }
}

interface Logs {
  /** `topic:partition` → records in offset order. */
  readonly byInput: ReadonlyMap<string, readonly Written[]>
  /** `topic:partition offset` → when a payment was written. */
  readonly sentAt: ReadonlyMap<string, number>
}

/** Labels of a tick are acknowledged before its payments are sent. */
async function feed(world: CardWorld, seed: number, midway: () => Promise<void>): Promise<Logs> {
  const random = createRandom(seed + 1)
  const byInput = new Map<string, Written[]>()
  const sentAt = new Map<string, number>()
  const unlabelled: { readonly id: string; readonly terminal: string; readonly time: number }[] = []
  let seq = 0
  const send = async (
    topic: string,
    records: readonly Record<string, unknown>[],
    key: string,
  ): Promise<void> => {
    const byPartition = Map.groupBy(records, (record) => Number(String(record[key]).slice(1)) % partitions)
    for (const [partition, some] of byPartition) {
      const messages = some.map((record) => ({
        key: String(record[key]),
        value: JSON.stringify(record),
        partition,
        timestamp: String(systemClock.now()),
      }))
      const [answer] = await world.producer.send({ topic, messages })
      const input = `${topic}:${partition}`
      const log = byInput.get(input) ?? []
      byInput.set(input, log)
      for (const [index, { terminal, ts }] of some.entries()) {
        const offset = Number(answer?.baseOffset) + index
        log.push({ terminal: String(terminal), time: Number(ts), offset, seq: seq++ })
        sentAt.set(`${input} ${offset}`, Number(messages[index]?.timestamp))
      }
    }
  }
  const total = Number(values.payments)
  const perTick = Math.max(1, Math.round((Number(values.rate) * tickMs) / 1_000))
  const startedAt = systemClock.monotonic()
  for (let made = 0, tick = 0; made < total; tick++) {
    const payments = Array.from({ length: Math.min(perTick, total - made) }, (_, i) => ({
      id: `tx-${made + i}`,
      customer: `c${random.below(customers)}`,
      terminal: `t${random.below(terminals)}`,
      amountCents: 100 + random.below(20_000),
      tier: 1,
      ts: firstTime + (made + i) * stepMs,
    }))
    if (made < total / 2 && made + payments.length >= total / 2) await midway()
    made += payments.length
    const due = firstTime + made * stepMs - delayMs
    const isDue = unlabelled.findIndex(({ time }) => time >= due)
    const labels = unlabelled.splice(0, isDue < 0 ? unlabelled.length : isDue)
    await send(
      world.topics.labels,
      labels.map(({ id, terminal, time }) => ({ id, terminal, ts: time, fraud: time % 3 === 0 })),
      'terminal',
    )
    await send(world.topics.transactions, payments, 'customer')
    for (const { id, terminal, ts } of payments) unlabelled.push({ id, terminal, time: ts })
    const aheadMs = tick * tickMs - (systemClock.monotonic() - startedAt)
    if (aheadMs > 0) await systemClock.sleep(aheadMs)
  }
  return { byInput, sentAt }
}

function judge(
  world: CardWorld,
  predictions: readonly Prediction[],
  { byInput, sentAt }: Logs,
  peak: number,
): Run {
  const { transactions, labels } = world.topics
  let [unaligned, behind, behindUnflagged, wrong, wrongUnflagged] = [0, 0, 0, 0, 0]
  const waits: number[] = []
  const counts = new Map([...byInput].map(([input, log]) => [input, byTerminal(log)]))
  const recordOf = (topic: string, partition: number, offset: number): Written => {
    const found = byInput.get(`${topic}:${partition}`)?.find((record) => record.offset === offset)
    if (found === undefined) throw new Error(`no record ${topic}:${partition} ${offset}`)
    return found
  }
  const ofOffset = new Map<string, Written>()
  for (const [input, log] of byInput)
    for (const record of log) ofOffset.set(`${input} ${record.offset}`, record)
  for (const { position, watermarks = {}, flags, features = {}, scoredAt } of predictions) {
    const own = `${position.topic}:${position.partition}`
    const event =
      ofOffset.get(`${own} ${position.offset}`) ??
      recordOf(position.topic, position.partition, position.offset)
    const isFlagged = flags.includes('unaligned')
    if (isFlagged) unaligned++
    waits.push(scoredAt - (sentAt.get(`${own} ${position.offset}`) ?? 0))
    const isBehind = [...byInput.keys()].some((input) => {
      const next = ofOffset.get(`${input} ${watermarks[input] ?? 0}`)
      return input !== own && next !== undefined && next.seq < event.seq && next.time <= event.time - delayMs
    })
    if (isBehind) behind++
    if (isBehind && !isFlagged) behindUnflagged++
    const seen = (topic: string): number => {
      let total = 0
      for (const [input, terminalsOf] of counts) {
        if (!input.startsWith(`${topic}:`)) continue
        for (const record of terminalsOf.get(event.terminal) ?? []) {
          const age = event.time - record.time
          if (age < delayMs || age >= delayMs + windowMs) continue
          if (topic === transactions || record.time % 3 === 0) total++
        }
      }
      return total
    }
    const isWrong =
      features['terminal_count_7d'] !== seen(transactions) || features['terminal_fraud_7d'] !== seen(labels)
    if (isWrong) wrong++
    if (isWrong && !isFlagged) wrongUnflagged++
  }
  waits.sort((a, b) => a - b)
  const at = (share: number): number => waits[Math.floor(waits.length * share)] ?? 0
  const scoredAfterMs = { p50: at(0.5), p99: at(0.99) }
  return {
    predictions: predictions.length,
    unaligned,
    behind,
    behindUnflagged,
    wrong,
    wrongUnflagged,
    scoredAfterMs,
    peakMb: peak,
  }
}

function byTerminal(log: readonly Written[]): ReadonlyMap<string, readonly Written[]> {
  return Map.groupBy(log, ({ terminal }) => terminal)
}

/** Largest resident memory of a process so far (Linux). */
function peakMb(pid: number): number {
  const kilobytes = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Math.round(Number(kilobytes) / 1024)
}
