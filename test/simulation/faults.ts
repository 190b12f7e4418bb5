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

/** Draws fates until the faults stop. */
export class Faults {
  readonly #scheduler: Scheduler
  readonly rates: FaultRates
  readonly untilMs: number
  #stops = 0

  constructor(scheduler: Scheduler, rates: FaultRates, untilMs: number) {
    this.#scheduler = scheduler
    this.rates = rates
    this.untilMs = untilMs
  }

  get over(): boolean {
    return this.#scheduler.nowMs >= this.untilMs
  }

  draw(): Fate {
    if (this.over) return 'fine'
    const { slow, network: lost, crash, freeze } = this.rates
    let dice = this.#scheduler.random.next()
    if ((dice -= slow) < 0) return 'slow'
    if ((dice -= lost) < 0) return this.#scheduler.pick(network)
    if ((dice -= crash) < 0) return this.#stop(crashes)
    return dice - freeze < 0 ? this.#stop(freezes) : 'fine'
  }

  #stop(fates: readonly Fate[]): Fate {
    return this.#stops++ < stopsMax ? this.#scheduler.pick(fates) : 'fine'
  }
}

/** Rates of one run: some runs are quiet, some are storms. */
export function drawRates(scheduler: Scheduler): FaultRates {
  return {
    slow: scheduler.pick([0, 0.02, 0.1]),
    network: scheduler.pick([0, 0.005, 0.02, 0.05]),
    crash: scheduler.pick([0, 0.002, 0.006, 0.015]),
    freeze: scheduler.pick([0, 0.002, 0.006]),
    disasters: scheduler.pick([0, 1, 3, 6, 10]),
  }
}
