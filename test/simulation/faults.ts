import type { Dice } from './dice.ts'
import type { Scheduler } from './scheduler.ts'

/** What happens to one call over a port. `late`: the request arrives long after the caller gave up. */
export type Fate =
  | 'fine'
  | 'slow'
  | 'refused'
  | 'request lost'
  | 'request late'
  | 'reply lost'
  | 'crash before'
  | 'crash, request under way'
  | 'crash, request late'
  | 'crash after the effect'
  | 'freeze before'
  | 'freeze, request under way'
  | 'freeze after the effect'

export interface FaultRates {
  /** Shares of all calls. */
  readonly slow: number
  readonly network: number
  readonly crash: number
  readonly freeze: number
  /** Things that happen to the world in a run, at most. */
  readonly disasters: number
}

const network: readonly Fate[] = ['refused', 'request lost', 'request late', 'reply lost']
const crashes: readonly Fate[] = [
  'crash before',
  'crash, request under way',
  'crash, request late',
  'crash after the effect',
]
const freezes: readonly Fate[] = ['freeze before', 'freeze, request under way', 'freeze after the effect']

/** Crashes and freezes of one run, at most: every one costs a session timeout of virtual time. */
const stopsMax = 6

/** Something that goes wrong in the world, not to a call. `seed`: of the choices it makes. */
export interface PlannedDisaster {
  readonly atMs: number
  readonly what: string
  readonly seed: number
}

/**
 * The faults of a run as text, one each, so that they can be printed, left out one by one, and given again:
 * `w1 flush transactions:0 b0 #3: reply lost`, `@5312 failover ~77`.
 */
export interface FaultPlan {
  /** What happens to the nth call of this name; counted from 1. */
  fate(call: string, nth: number): Fate
  disasters(): readonly PlannedDisaster[]
  /** What was planned or given so far, in the order in which it came up. */
  readonly injected: readonly string[]
  readonly over: boolean
}

/** Draws faults until the time for them is over. */
export class RandomFaults implements FaultPlan {
  readonly injected: string[] = []
  readonly #scheduler: Scheduler
  readonly #rates: FaultRates
  readonly #usual: readonly string[]
  readonly #certain: readonly string[]
  readonly #untilMs: number
  readonly #dice: Dice
  #stops = 0

  /** `usual`: disasters that may happen, likelier when named several times. `certain`: those that happen once. */
  constructor(
    scheduler: Scheduler,
    rates: FaultRates,
    { usual, certain }: { readonly usual: readonly string[]; readonly certain: readonly string[] },
    untilMs: number,
  ) {
    this.#scheduler = scheduler
    this.#rates = rates
    this.#usual = usual
    this.#certain = certain
    this.#untilMs = untilMs
    this.#dice = scheduler.dice('fates')
  }

  get over(): boolean {
    return this.#scheduler.nowMs >= this.#untilMs
  }

  fate(call: string, nth: number): Fate {
    if (this.over) return 'fine'
    const fate = this.#draw()
    if (fate !== 'fine') this.injected.push(`${call} #${nth}: ${fate}`)
    return fate
  }

  disasters(): readonly PlannedDisaster[] {
    const dice = this.#scheduler.dice('disasters')
    const drawn = Array.from({ length: this.#rates.disasters }, () => dice.pick(this.#usual))
    const planned = [...drawn, ...this.#certain].map((what): PlannedDisaster => {
      return { atMs: dice.between(200, this.#untilMs), what, seed: dice.below(1_000_000) }
    })
    this.injected.push(...planned.map(textOf))
    return planned
  }

  #draw(): Fate {
    const { slow, network: lost, crash, freeze } = this.#rates
    let dice = this.#dice.next()
    if ((dice -= slow) < 0) return 'slow'
    if ((dice -= lost) < 0) return this.#dice.pick(network)
    if ((dice -= crash) < 0) return this.#stop(crashes)
    return dice - freeze < 0 ? this.#stop(freezes) : 'fine'
  }

  #stop(fates: readonly Fate[]): Fate {
    return this.#stops++ < stopsMax ? this.#dice.pick(fates) : 'fine'
  }
}

/** Faults from a list, at the calls and times that it names, and no other. */
export class GivenFaults implements FaultPlan {
  readonly injected: string[] = []
  readonly #scheduler: Scheduler
  readonly #untilMs: number
  readonly #fates = new Map<string, Fate>()
  readonly #disasters: PlannedDisaster[] = []

  constructor(scheduler: Scheduler, faults: readonly string[], untilMs: number) {
    this.#scheduler = scheduler
    this.#untilMs = untilMs
    for (const text of faults) {
      const disaster = /^@(\d+) (.+) ~(\d+)$/.exec(text)
      const [call, fate] = text.split(': ')
      if (disaster) {
        const [, atMs, what, seed] = disaster
        this.#disasters.push({ atMs: Number(atMs), what: what ?? '', seed: Number(seed) })
      } else this.#fates.set(call ?? '', fate as Fate)
    }
  }

  get over(): boolean {
    return this.#scheduler.nowMs >= this.#untilMs
  }

  fate(call: string, nth: number): Fate {
    const fate = this.#fates.size === 0 ? undefined : this.#fates.get(`${call} #${nth}`)
    if (fate === undefined) return 'fine'
    this.injected.push(`${call} #${nth}: ${fate}`)
    return fate
  }

  disasters(): readonly PlannedDisaster[] {
    this.injected.push(...this.#disasters.map(textOf))
    return this.#disasters
  }
}

function textOf({ atMs, what, seed }: PlannedDisaster): string {
  return `@${atMs} ${what} ~${seed}`
}

/** Rates of one run: some runs are quiet, some are storms. */
export function drawRates(dice: Dice): FaultRates {
  return {
    slow: dice.pick([0, 0.02, 0.1]),
    network: dice.pick([0, 0.005, 0.02, 0.05]),
    crash: dice.pick([0, 0.002, 0.006, 0.015]),
    freeze: dice.pick([0, 0.002, 0.006]),
    disasters: dice.pick([0, 1, 3, 6, 10]),
  }
}
