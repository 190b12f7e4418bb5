import type { Decoder } from '../../src/decode/decoder.ts'
import type { Event, Reject } from '../../src/record/event.ts'
import { inputName, type InputPartition } from '../../src/record/input.ts'
import type { RawRecord } from '../../src/record/raw-record.ts'
import type { Host } from './host.ts'
import type { Kafka } from './kafka.ts'
import { epochMs, type Scheduler } from './scheduler.ts'
import { inputs, transactions, trouble } from './topology.ts'
import type { Wire } from './wire.ts'

const customers = 5
const terminals = 3

/** Plans the appends of a run: some records lie there from the beginning, the others come until `untilMs`. */
export function planFeed(scheduler: Scheduler, kafka: Kafka, untilMs: number): void {
  for (const input of inputs) {
    const name = inputName(input)
    kafka.createLog(name)
    const isScored = input.source === transactions
    const records = scheduler.between(isScored ? 1 : 0, isScored ? 45 : 25)
    const backlog = scheduler.pick([0, 0.3, 1])
    const stepMs = scheduler.pick([20, 300, 900]) * (isScored ? 1 : 2)
    let time = epochMs - 100_000
    for (let i = 0; i < records; i++) {
      if (!scheduler.chance(0.2)) time += scheduler.between(0, stepMs * 2)
      const value = i === 0 && isScored ? firstValue(input, time) : valueOf(scheduler, input, i, time)
      const append = (): void => {
        if (scheduler.chance(0.1)) kafka.appendControl(name)
        kafka.append(name, rawRecord(input, kafka.end(name), epochMs + scheduler.nowMs, value))
        if (scheduler.chance(0.03)) kafka.appendControl(name)
      }
      // A scored partition without events holds nobody back from trimming, so each has one from the beginning.
      if (i < records * backlog || (i === 0 && isScored)) append()
      else scheduler.at((untilMs * i) / records, append)
    }
  }
}

function firstValue(input: InputPartition, time: number): string {
  const customer = `c${input.partition}`
  return JSON.stringify({
    id: `${inputName(input)}-0`,
    time,
    customer,
    terminal: 't0',
    amount: 1,
    fraud: false,
  })
}

function valueOf(scheduler: Scheduler, input: InputPartition, index: number, time: number): string {
  if (scheduler.chance(0.04)) return 'not json'
  const lateByMs = scheduler.chance(0.15)
    ? scheduler.between(0, scheduler.pick([400, 2_000, 9_000, 40_000]))
    : 0
  // Customers keep to their partition, terminals do not.
  const customer = input.partition + 2 * scheduler.random.below(Math.ceil(customers / 2))
  return JSON.stringify({
    id: `${inputName(input)}-${index}`,
    time: time - lateByMs,
    customer: scheduler.chance(0.04) ? null : `c${customer}`,
    terminal: scheduler.chance(0.05) ? null : `t${scheduler.random.below(terminals)}`,
    amount: scheduler.chance(0.06) ? scheduler.pick(Object.values(trouble)) : scheduler.between(1, 40),
    fraud: scheduler.chance(0.4),
  })
}

function rawRecord(input: InputPartition, offset: number, timestamp: number, value: string): RawRecord {
  const { topic, partition } = input
  return { topic, partition, offset, timestamp, key: null, value: Buffer.from(value), headers: {} }
}

/** JSON with two ways to be wrong. Pure. */
export function decode(raw: RawRecord): Event | Reject {
  const reject = (reason: Reject['reason']): Reject => ({
    rejected: true,
    reason,
    stage: 'decode',
    message: reason,
    raw,
  })
  let fields: Record<string, unknown>
  try {
    fields = JSON.parse(String(raw.value)) as Record<string, unknown>
  } catch {
    return reject('DECODE')
  }
  const { id, time, customer } = fields
  if (typeof customer !== 'string') return reject('VALIDATION')
  return { id: id as string, key: customer, time: time as number, fields, raw }
}

export function simulatedDecoder(wire: Wire, host: Host): Decoder {
  return {
    prepare: (_, signal) => wire.call({ host, what: 'prepare', effect: () => undefined, signal }),
    decode,
  }
}
