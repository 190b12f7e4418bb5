import type { Random } from './random.ts'
import type { World } from './world.ts'

/** Why a transaction is fraudulent; null where it is not. */
export type FraudPattern = 'terminal' | 'stolen' | 'testing'

/** A transaction before it has an id. */
export interface Draft {
  readonly atMs: number
  readonly customer: number
  readonly terminal: number
  readonly amountCents: number
  readonly pattern: FraudPattern | null
}

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs

/** Live traffic is hundreds of times denser than the history, so a stolen card is used up in minutes, not days. */
export type Pace = 'history' | 'live'

/** Payments per stolen card, and how long the thief has it. */
const stolenCount = { min: 4, max: 10 }
const stolenSpanMs = {
  history: { min: 2 * dayMs, max: 5 * dayMs },
  live: { min: minuteMs, max: 10 * minuteMs },
}
/** The handbook's factor on the amounts of a stolen card. */
const stolenAmountFactor = 5

/** A thief pays with the card anywhere, with amounts the owner would not choose. */
export function stolenCard(world: World, random: Random, startMs: number, pace: Pace): Draft[] {
  const customer = random.below(world.customers.length)
  const span = stolenSpanMs[pace]
  const spanMs = random.between(span.min, span.max)
  const count = stolenCount.min + random.below(stolenCount.max - stolenCount.min + 1)
  return Array.from({ length: count }, () => ({
    atMs: Math.floor(startMs + random.next() * spanMs),
    customer,
    terminal: random.below(world.terminals.length),
    amountCents: world.amountCents(customer, random) * stolenAmountFactor,
    pattern: 'stolen' as const,
  }))
}

const testingCount = { min: 8, max: 15 }
const testingSpanMs = { min: 0.5 * minuteMs, max: 8 * minuteMs }
/** The last one follows this much later, so that all small ones are within ten minutes before it. */
const testingPauseMs = { min: 0.2 * minuteMs, max: 1.5 * minuteMs }
const testingSmallCents = { min: 50, max: 500 }
const testingBigCents = { min: 15_000, max: 90_000 }

/** Many amounts below 5.00 to see whether the card works, then a large one. */
export function cardTesting(world: World, random: Random, startMs: number): Draft[] {
  const customer = random.below(world.customers.length)
  const terminal = random.below(world.terminals.length)
  const spanMs = random.logBetween(testingSpanMs.min, testingSpanMs.max)
  const count = testingCount.min + random.below(testingCount.max - testingCount.min + 1)
  const drafts: Draft[] = Array.from({ length: count }, () => ({
    atMs: Math.floor(startMs + random.next() * spanMs),
    customer,
    terminal,
    amountCents: Math.floor(random.between(testingSmallCents.min, testingSmallCents.max)),
    pattern: 'testing',
  }))
  drafts.push({
    atMs: Math.floor(startMs + spanMs + random.between(testingPauseMs.min, testingPauseMs.max)),
    customer,
    terminal: random.below(world.terminals.length),
    amountCents: Math.round(random.logBetween(testingBigCents.min, testingBigCents.max)),
    pattern: 'testing',
  })
  return drafts
}

const spreeCount = { min: 4, max: 60 }
const spreeSpanMs = { min: 0.5 * hourMs, max: 10 * hourMs }

/**
 * An honest busy day: a trip, a sale. Without them the model would learn that many payments in a day are
 * fraud by themselves, which is neither true nor what live traffic looks like after an hour of simulation.
 */
export function spree(world: World, random: Random, startMs: number): Draft[] {
  const customer = random.below(world.customers.length)
  const spanMs = random.between(spreeSpanMs.min, spreeSpanMs.max)
  const count = Math.round(random.logBetween(spreeCount.min, spreeCount.max))
  return Array.from({ length: count }, () => ({
    atMs: Math.floor(startMs + random.next() * spanMs),
    customer,
    terminal: world.terminalNear(customer, random),
    amountCents: world.amountCents(customer, random),
    pattern: null,
  }))
}

/** Mean number of transactions of each, to turn a share of the traffic into a rate of starts. */
export const meanCounts = {
  stolen: (stolenCount.min + stolenCount.max) / 2,
  testing: (testingCount.min + testingCount.max) / 2 + 1,
  spree: (spreeCount.max - spreeCount.min) / Math.log(spreeCount.max / spreeCount.min),
} as const

/** Compromised at any time: 12 of 2 000 terminals. */
const compromisedShare = 0.006
/** How long a terminal stays so. Labels arrive days later, so anything shorter than two weeks could not be noticed. */
const compromisedSpanMs = { min: 20 * dayMs, max: 60 * dayMs }
/** Share of the transactions of such a terminal that are fraudulent. */
const compromisedFraudShare = 0.9

/** Which terminals are compromised, as time goes on. Its random numbers are its own: the traffic does not change it. */
export interface Compromises {
  /** Moves on to `nowMs`; never back. */
  moveTo(nowMs: number): void
  /** Whether a payment at this terminal is copied. */
  copies(terminal: number, random: Random): boolean
}

export function createCompromises(random: Random, terminals: number, startMs: number): Compromises {
  const untilMs = new Float64Array(terminals)
  const atAnyTime = Math.max(1, terminals * compromisedShare)
  const meanSpanMs = (compromisedSpanMs.min + compromisedSpanMs.max) / 2
  const spanMs = () => random.between(compromisedSpanMs.min, compromisedSpanMs.max)
  for (let i = 0; i < Math.round(atAnyTime); i++) {
    untilMs[random.below(terminals)] = startMs + random.next() * spanMs()
  }
  const waitMs = () => random.exponential(meanSpanMs / atAnyTime)
  let nextMs = startMs + waitMs()
  let currentMs = startMs
  return {
    moveTo(nowMs) {
      currentMs = nowMs
      while (nextMs <= nowMs) {
        untilMs[random.below(terminals)] = nextMs + spanMs()
        nextMs += waitMs()
      }
    },
    copies: (terminal, draw) => untilMs[terminal]! > currentMs && draw.next() < compromisedFraudShare,
  }
}
