import { MillraceError } from '../errors.ts'

/**
 *   starting → running → draining → stopped
 *       │         │          │
 *       └─────────┴──────────┴→ failed
 *
 * `starting` opens what the service needs, `running` has joined the group, `draining` finishes and commits.
 */
export const phases = ['starting', 'running', 'draining', 'stopped', 'failed'] as const
export type Phase = (typeof phases)[number]

export const legalPhases: Readonly<Record<Phase, readonly Phase[]>> = {
  starting: ['running', 'draining', 'stopped', 'failed'],
  running: ['draining', 'failed'],
  draining: ['stopped', 'failed'],
  stopped: [],
  failed: [],
}

/** Where a service is; every change goes through `moveTo`. */
export class Lifecycle {
  #phase: Phase = 'starting'
  readonly #changed: (phase: Phase) => void

  constructor(changed: (phase: Phase) => void) {
    this.#changed = changed
  }
  get phase(): Phase {
    return this.#phase
  }
  moveTo(phase: Phase): void {
    if (!legalPhases[this.#phase].includes(phase)) {
      throw new MillraceError('INTERNAL', `the service cannot go from ${this.#phase} to ${phase}`)
    }
    this.#phase = phase
    this.#changed(phase)
  }
}
