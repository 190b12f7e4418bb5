/** Why an expression has no result although its fields are there. Data: it wanders through operators like a value. */
export class Failure {
  /** Without contents of the event: it goes to the log. */
  readonly message: string
  constructor(message: string) {
    this.message = message
  }
}

/** Where errors of running expressions are reported. What is only missing is none. */
export interface FailureSink {
  /** `place`: of the expression in the topology, `features.x.where`. */
  failed(place: string, message: string): void
}

export const noFailures: FailureSink = { failed: () => undefined }
