import type { InputPartition } from '../record/input.ts'
import type { OutputRecord } from '../record/output.ts'

/** Group position and the metadata committed with it. */
export interface CommittedPosition {
  readonly offset: number
  readonly metadata: string
}

/**
 * Transactions that write outputs and the group's position atomically.
 * Shaped like KIP-447: another client can become a second adapter.
 */
export interface TransactionPort {
  /**
   * Fences every earlier owner of `input` and ends its open transaction.
   * After it returns, `committed()` is final until this claim commits or is fenced.
   */
  claim(input: InputPartition, signal: AbortSignal): Promise<Claim>
  /** Identity of the Kafka cluster, to recognise offsets of another one. */
  clusterId(): Promise<string>
}

export interface Claim {
  /** The group's position, read after the claim; null only when the group has none. */
  committed(signal: AbortSignal): Promise<CommittedPosition | null>
  /**
   * One transaction: all outputs and the position, or nothing. Resolves only on an acknowledged commit.
   * Throws MillraceError TRANSACTION_FENCED, KAFKA_UNAUTHORISED, KAFKA_RECORD_TOO_LARGE or else TRANSACTION_NOT_COMMITTED
   * (outcome may be unknown); after any throw this claim is dead: close it and claim again (a late request of the
   * failed transaction would otherwise land in the next one).
   */
  run(outputs: readonly OutputRecord[], position: CommittedPosition): Promise<void>
  /** Idempotent; never throws. */
  close(): Promise<void>
}
