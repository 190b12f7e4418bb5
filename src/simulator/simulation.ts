import {
  cardTesting,
  createCompromises,
  meanCounts,
  spree,
  stolenCard,
  type Draft,
  type FraudPattern,
  type Pace,
} from './patterns.ts'
import { createRandom } from './random.ts'
import { createTimeQueue } from './time-queue.ts'
import { createWorld } from './world.ts'

export interface SimulationOptions {
  readonly seed: number
  readonly customers: number
  readonly terminals: number
  /** Days of history before `startMs`. */
  readonly preloadDays: number
  readonly transactionsPerDay: number
  /** Where history ends and live traffic begins, epoch ms. */
  readonly startMs: number
  /** Live transactions per second of event time, which is wall time. */
  readonly ratePerSecond: number
  /** Continue an earlier run that began at `startMs`: nothing before this time comes out. Default `startMs` and all history. */
  readonly resumeMs?: number
}

/**
 * Sizes of the demo. 5 000 payments a day by 20 000 customers give 30-day windows of 1 to 100 payments. Live traffic is
 * 3 500 times as dense (17 million a day), which no window of a day could hide, so live customers are drawn evenly
 * (each pays once in 100 s at 200/s) and history contains honest busy days of up to 60 payments: the counts of a live
 * run stay inside what the model has seen for about an hour. Amounts and means are not affected at all, terminal counts and
 * risks neither, because they are read with a delay of seven days.
 */
export const simulationDefaults = {
  seed: 1,
  customers: 20_000,
  terminals: 2_000,
  preloadDays: 40,
  transactionsPerDay: 5_000,
  ratePerSecond: 200,
} as const

export interface Transaction {
  readonly id: string
  readonly customer: string
  readonly terminal: string
  readonly amountCents: number
  /** Event time, epoch ms. */
  readonly ts: number
}

export interface Label {
  /** Of the transaction. */
  readonly id: string
  readonly terminal: string
  readonly fraud: boolean
  /** Time of the transaction it labels, epoch ms. */
  readonly ts: number
}

/** One record to publish, with the record timestamp it carries. The pattern is for evaluation and is not published. */
export type SimulatedRecord =
  | {
      readonly kind: 'transaction'
      readonly timestampMs: number
      readonly key: string
      readonly value: Transaction
      readonly pattern: FraudPattern | null
    }
  | { readonly kind: 'label'; readonly timestampMs: number; readonly key: string; readonly value: Label }

const secondMs = 1_000
const hourMs = 3_600_000
const dayMs = 24 * hourMs

/** Shares of all transactions. Compromised terminals add theirs (see patterns.ts). */
const stolenShare = 0.003
const testingShare = 0.003
const spreeShare = 0.15

/** A transaction is judged half a day to six days later: all labels are there when a 7-day delay looks. */
export const labelDelayMs = { min: 0.5 * dayMs, max: 6 * dayMs } as const
/** Live labels waiting for their day; beyond it only fraud is labelled. 1 000 000 take 190 MB and last 80 minutes at 200/s. */
const pendingLabelsMax = 1_000_000

/** Weight of each UTC hour in the history: little happens at night. */
const hourWeights = [
  0.3, 0.2, 0.15, 0.12, 0.12, 0.2, 0.5, 1.0, 1.4, 1.5, 1.5, 1.6, 1.8, 1.7, 1.5, 1.5, 1.6, 1.8, 1.9, 1.7, 1.4,
  1.1, 0.8, 0.5,
] as const
const hourWeightSum = hourWeights.reduce((sum, weight) => sum + weight, 0)

/**
 * Endless records in order of their timestamps: history first, then live, in the same world. The same options
 * give the same records, byte for byte.
 */
export function* createSimulation(options: SimulationOptions): Generator<SimulatedRecord, never, void> {
  const { startMs } = options
  const resumeMs = options.resumeMs ?? -Infinity
  const labels = createTimeQueue<Label>()
  const random = createRandom(options.seed ^ 0x5bd1e995)
  const traffic = createTraffic(options)
  const historyIds = `h${startMs.toString(36)}-`
  const liveIds = `l${Math.max(startMs, resumeMs).toString(36)}-`
  let count = 0

  for (let slot = firstSlot(options); ; slot = nextSlot(options, slot)) {
    const live = slot.pace === 'live'
    for (const draft of traffic.slot(slot)) {
      while (labels.nextMs <= draft.atMs) yield* publish(labels, resumeMs)
      const value: Transaction = {
        id: (live ? liveIds : historyIds) + String(count++),
        customer: traffic.world.customers[draft.customer]!,
        terminal: traffic.world.terminals[draft.terminal]!,
        amountCents: draft.amountCents,
        ts: draft.atMs,
      }
      const fraud = draft.pattern !== null
      const labelMs = Math.floor(draft.atMs + random.between(labelDelayMs.min, labelDelayMs.max))
      if (!live || fraud || labels.length < pendingLabelsMax) {
        labels.add(labelMs, { id: value.id, terminal: value.terminal, fraud, ts: value.ts })
      }
      if (draft.atMs < resumeMs) continue
      yield {
        kind: 'transaction',
        timestampMs: draft.atMs,
        key: value.customer,
        value,
        pattern: draft.pattern,
      }
    }
    while (labels.nextMs < slot.untilMs) yield* publish(labels, resumeMs)
  }
}

function* publish(
  labels: ReturnType<typeof createTimeQueue<Label>>,
  resumeMs: number,
): Generator<SimulatedRecord> {
  const timestampMs = labels.nextMs
  const value = labels.take()
  if (timestampMs >= resumeMs) yield { kind: 'label', timestampMs, key: value.terminal, value }
}

interface Slot {
  readonly fromMs: number
  readonly untilMs: number
  readonly pace: Pace
  /** Expected transactions in it. */
  readonly expected: number
}

function firstSlot(options: SimulationOptions): Slot {
  return slotFrom(options, options.startMs - options.preloadDays * dayMs)
}

/** After history comes live traffic; a resumed run goes straight to where it resumes. */
function nextSlot(options: SimulationOptions, { untilMs }: Slot): Slot {
  const liveFromMs = Math.max(options.startMs, options.resumeMs ?? 0)
  return slotFrom(options, untilMs >= options.startMs ? Math.max(untilMs, liveFromMs) : untilMs)
}

/** History goes by UTC hours (the rhythm of the day), live by seconds. */
function slotFrom(options: SimulationOptions, fromMs: number): Slot {
  if (fromMs >= options.startMs) {
    return { fromMs, untilMs: fromMs + secondMs, pace: 'live', expected: options.ratePerSecond }
  }
  const hour = Math.floor(fromMs / hourMs)
  const untilMs = Math.min((hour + 1) * hourMs, options.startMs)
  const weight = hourWeights[hour % 24]! / hourWeightSum
  const expected = options.transactionsPerDay * weight * ((untilMs - fromMs) / hourMs)
  return { fromMs, untilMs, pace: 'history', expected }
}

/** The transactions of one slot after another, in order of time. */
function createTraffic(options: SimulationOptions) {
  const world = createWorld(options.seed, options.customers, options.terminals)
  const random = createRandom(options.seed ^ 0x2545f491)
  const historyMs = options.startMs - options.preloadDays * dayMs
  const compromises = createCompromises(createRandom(options.seed ^ 0x27d4eb2f), options.terminals, historyMs)
  const planned = createTimeQueue<Draft>()

  const plan = (slot: Slot, share: number, meanCount: number, make: (startMs: number) => Draft[]) => {
    // Fraud and busy days keep no hours: their starts spread evenly over the day.
    const perMs = slot.pace === 'live' ? options.ratePerSecond / secondMs : options.transactionsPerDay / dayMs
    const starts = random.poisson(((slot.untilMs - slot.fromMs) * perMs * share) / meanCount)
    for (let i = 0; i < starts; i++) {
      for (const draft of make(random.between(slot.fromMs, slot.untilMs))) planned.add(draft.atMs, draft)
    }
  }

  const ordinary = (slot: Slot): Draft => {
    const live = slot.pace === 'live'
    const customer = live ? random.below(world.customers.length) : world.drawByHabit(random)
    const terminal = world.terminalNear(customer, random)
    return {
      atMs: Math.floor(random.between(slot.fromMs, slot.untilMs)),
      customer,
      terminal,
      amountCents: world.amountCents(customer, random),
      pattern: compromises.copies(terminal, random) ? 'terminal' : null,
    }
  }

  return {
    world,
    slot(slot: Slot): readonly Draft[] {
      compromises.moveTo(slot.fromMs)
      plan(slot, stolenShare, meanCounts.stolen, (startMs) => stolenCard(world, random, startMs, slot.pace))
      plan(slot, testingShare, meanCounts.testing, (startMs) => cardTesting(world, random, startMs))
      if (slot.pace === 'history')
        plan(slot, spreeShare, meanCounts.spree, (startMs) => spree(world, random, startMs))
      const share = 1 - stolenShare - testingShare - (slot.pace === 'history' ? spreeShare : 0)
      const drafts = Array.from({ length: random.poisson(slot.expected * share) }, () => ordinary(slot))
      while (planned.nextMs < slot.untilMs) drafts.push(planned.take())
      return drafts.sort((a, b) => a.atMs - b.atMs)
    },
  }
}
