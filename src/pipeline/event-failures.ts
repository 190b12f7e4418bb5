import type { FailureSink } from '../expression/failure.ts'
import type { Event, Reject, RejectStage } from '../record/event.ts'

/** Expressions in error on one event; everyone who asks is told, the first is kept. */
export class EventFailures implements FailureSink {
  readonly #tell: (place: string, message: string) => void
  /** `features.x.where: …`; null: none so far. */
  first: string | null = null

  constructor(tell: (place: string, message: string) => void) {
    this.#tell = tell
  }
  /** Of the next event. */
  begin(): void {
    this.first = null
  }
  failed(place: string, message: string): void {
    this.first ??= `${place}: ${message}`
    this.#tell(place, message)
  }
}

/** The dead letter of an event on which an expression is in error (`expressions.onError: dead-letter`). */
export function expressionReject(event: Event, failure: string, stage: RejectStage): Reject {
  return { rejected: true, reason: 'EXPRESSION', stage, message: `expression ${failure}`, raw: event.raw }
}
