import type { Decoder } from '../../src/decode/decoder.ts'
import type { Event, Reject } from '../../src/record/event.ts'
import { inputName, type InputPartition } from '../../src/record/input.ts'
import type { RawRecord } from '../../src/record/raw-record.ts'
import type { Dice } from './dice.ts'
import type { Host } from './host.ts'
import type { Kafka } from './kafka.ts'
import { epochMs, type Timeline } from './scheduler.ts'
import { killerAmount, transactions, trouble, type Settings } from './topology.ts'
import type { Wire } from './wire.ts'

const customers = 5
const terminals = 3
/** Record timestamps are ahead of event times by as much at the beginning, ms. */
const behindMs = 100_000

/** Appends of one run: some records lie there from the beginning, the others come until `untilMs`. */
export class Feed {
  readonly #timeline: Timeline
  readonly #kafka: Kafka
  readonly #only: ReadonlySet<string> | undefined
  readonly #times = new Map<string, number>()
  /** Ids of the records appended so far. */
  readonly appended: string[] = []

  constructor(timeline: Timeline, kafka: Kafka, only?: ReadonlySet<string>) {
    this.#timeline = timeline
    this.#kafka = kafka
    this.#only = only
  }

  plan({ inputs, lullMs, killer, troubles }: Settings, dice: (input: string) => Dice, untilMs: number): void {
    for (const input of inputs) {
      const name = inputName(input)
      this.#kafka.createLog(name)
      const isScored = input.source === transactions
      const drawn = dice(name)
      const records = drawn.between(isScored ? 1 : 0, isScored ? 45 : 25)
      const backlog = drawn.pick([0, 0.3, 1])
      const pace = drawn.pick([20, 300, 900])
      // Nothing is ever out of sight unless event time moves on.
      const stepMs = (troubles.includes('retention') ? 900 : pace) * (isScored ? 1 : 2)
      const killerAt = killer && isScored && input.partition === 0 ? drawn.below(records) : -1
      for (let i = 0; i < records; i++) {
        const append = this.#record(input, i, stepMs, drawn, i === killerAt)
        const share = i / records
        // A scored partition without events holds nobody back from trimming, so each has one from the beginning.
        if (share < backlog || (i === 0 && isScored)) append()
        else this.#timeline.at(untilMs * share + (share > 0.7 ? lullMs : 0), append)
      }
    }
  }

  /** Another topic of the same name, with some records to begin with; event time goes on. */
  recreate(input: InputPartition, dice: Dice): void {
    const name = inputName(input)
    this.#kafka.createLog(name)
    const records = dice.below(20)
    for (let i = 0; i < records; i++) this.#record(input, 1_000 + i, dice.pick([20, 300]), dice)()
  }

  #record(input: InputPartition, index: number, stepMs: number, dice: Dice, kills = false): () => void {
    const name = inputName(input)
    const id = `${name}-${index}`
    const isFirst = index === 0 && input.source === transactions
    const before = this.#times.get(name) ?? epochMs - behindMs
    const time = before + (dice.chance(0.2) ? 0 : dice.between(0, stepMs * 2))
    this.#times.set(name, time)
    const drawn = isFirst ? firstFields(input) : fieldsOf(dice, input)
    const fields = kills ? { ...drawn, amount: killerAmount } : drawn
    const lateByMs =
      !isFirst && dice.chance(0.15) ? dice.between(0, dice.pick([400, 2_000, 9_000, 40_000])) : 0
    const isBroken = !isFirst && dice.chance(0.04)
    const value = isBroken ? 'not json' : JSON.stringify({ id, time: time - lateByMs, ...fields })
    const [controlBefore, controlBehind] = [dice.chance(0.1), dice.chance(0.03)]
    return () => {
      const kafka = this.#kafka
      if (this.#only !== undefined && !isFirst && !this.#only.has(id)) return
      if (controlBefore) kafka.appendControl(name)
      this.appended.push(id)
      kafka.append(name, rawRecord(input, kafka.end(name), epochMs + this.#timeline.nowMs, value))
      if (controlBehind) kafka.appendControl(name)
    }
  }
}

type Fields = Readonly<Record<string, string | number | boolean | null>>

function firstFields({ partition }: InputPartition): Fields {
  return { customer: `c${partition}`, terminal: 't0', amount: 1, fraud: false }
}

function fieldsOf(dice: Dice, input: InputPartition): Fields {
  // Customers keep to their partition, terminals do not.
  const customer = input.partition + 2 * dice.below(Math.ceil(customers / 2))
  return {
    customer: dice.chance(0.04) ? null : `c${customer}`,
    terminal: dice.chance(0.05) ? null : `t${dice.below(terminals)}`,
    amount: dice.chance(0.06) ? dice.pick(Object.values(trouble)) : dice.between(1, 40),
    fraud: dice.chance(0.4),
  }
}

export function rawRecord(
  { topic, partition }: InputPartition,
  offset: number,
  timestamp: number,
  value: string,
): RawRecord {
  return { topic, partition, offset, timestamp, key: null, value: Buffer.from(value), headers: [] }
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
