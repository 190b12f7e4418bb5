/** What is wrong with a record batch that cannot be read. */
export type UnreadableCause = 'checksum' | 'codec' | 'too-large' | 'damaged'

/**
 * Thrown inside `kafka/wire` and caught at its edge, where it becomes a place that a dead letter can name. `message`: what
 * was found and what was expected, without anything of what is in the records.
 */
export class Unreadable extends Error {
  readonly unreadable: UnreadableCause
  constructor(unreadable: UnreadableCause, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'Unreadable'
    this.unreadable = unreadable
  }
}
