import { MillraceError } from '../errors.ts'
import type { KafkaClient } from '../kafka/client.ts'
import { isFenced, kafkaError, textOf } from '../kafka/errors.ts'
import type { Transaction } from '../kafka/wire/transactional-producer.ts'
import type { OutputRecord } from '../record/output.ts'
import type { Log } from '../telemetry/log.ts'
import type { Clock } from '../time/clock.ts'
import { withTimeout } from '../time/deadline.ts'
import { closeProducer, fenceOthers, isSizeRefused } from './kafka-transaction.ts'

export interface OutputsClaimParts {
  readonly client: KafkaClient
  readonly transactionalId: string
  readonly clock: Clock
  readonly log: Log
  /** Smallest `max.message.bytes` of the topics written. */
  readonly batchBytesMax: number
}

/** The one producer with a transactional id; transactions of records, without a group position. */
export interface OutputsClaim {
  /**
   * All records or none; resolves only on an acknowledged commit. Throws TRANSACTION_FENCED when somebody claimed the id
   * after us, else TRANSACTION_NOT_COMMITTED (the outcome may be unknown). After any throw this claim is dead.
   */
  run(outputs: readonly OutputRecord[]): Promise<void>
  /** Idempotent; never throws. */
  close(): Promise<void>
}

/** Fences every earlier claim of the id. When it returns, what they committed is final and readable. */
export async function claimOutputs(parts: OutputsClaimParts, signal: AbortSignal): Promise<OutputsClaim> {
  const producer = parts.client.transactionalProducer(parts.transactionalId)
  try {
    await fenceOthers(producer, parts, signal)
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw kafkaError(error, `claiming transactional id ${parts.transactionalId}`)
  }
  let dead = false
  return {
    run: async (outputs) => {
      if (dead) throw new MillraceError('INTERNAL', `the claim of ${parts.transactionalId} has ended`)
      let transaction: Transaction | null = null
      try {
        const { transactionTimeoutMs } = parts.client.plan
        transaction = producer.begin()
        const work = write(transaction, outputs, parts)
        await withTimeout(work, transactionTimeoutMs, parts.clock, 'the transaction')
      } catch (error) {
        dead = true
        transaction?.giveUp(error)
        throw failure(error, parts.transactionalId)
      }
    },
    close: async () => {
      dead = true
      await closeProducer(producer, parts)
    },
  }
}

async function write(
  transaction: Transaction,
  outputs: readonly OutputRecord[],
  { client, batchBytesMax }: OutputsClaimParts,
): Promise<void> {
  const timeoutMs = Math.ceil(client.plan.transactionTimeoutMs / 2)
  try {
    await transaction.send(outputs, null, { batchBytesMax, compression: 'none', timeoutMs })
  } catch (error) {
    // Lets readers of the topics go on at once; else the next claim or the broker's timeout does.
    await transaction.abort().catch(() => {})
    throw error
  }
  await transaction.commit()
}

function failure(error: unknown, transactionalId: string): MillraceError {
  const what = `a transaction of ${transactionalId}`
  if (isSizeRefused(error)) {
    return new MillraceError(
      'KAFKA_RECORD_TOO_LARGE',
      `${what} holds a record a topic refuses: ${textOf(error)}`,
      {
        cause: error,
      },
    )
  }
  if (isFenced(error)) {
    return new MillraceError('TRANSACTION_FENCED', `${what} was refused: a later run claimed the id`, {
      cause: error,
    })
  }
  const mapped = kafkaError(error, what)
  if (mapped.code === 'KAFKA_UNAUTHORISED') return mapped
  return new MillraceError(
    'TRANSACTION_NOT_COMMITTED',
    `${what} has no acknowledged commit: ${textOf(error)}`,
    {
      cause: error,
    },
  )
}
