import { MillraceError } from '../errors.ts'
import type { KafkaClient } from '../kafka/client.ts'
import type { Compression } from '../kafka/codecs.ts'
import { isFenced, isProtocolError, kafkaError, textOf } from '../kafka/errors.ts'
import type { Transaction, TransactionalProducer } from '../kafka/wire/transactional-producer.ts'
import { nameSeparator } from '../record/input.ts'
import type { InputPartition } from '../record/input.ts'
import type { OutputRecord } from '../record/output.ts'
import { defaultBatchBytesMax } from '../record/size.ts'
import type { Log } from '../telemetry/log.ts'
import type { Clock } from '../time/clock.ts'
import { withTimeout } from '../time/deadline.ts'
import { untilAborted } from '../time/until-aborted.ts'
import type { Claim, CommittedPosition, TransactionPort } from './transaction.ts'

export interface KafkaTransactionParts {
  readonly client: KafkaClient
  /** First part of the transactional ids; the same on every instance. */
  readonly app: string
  readonly clock: Clock
  readonly log: Log
  readonly compression?: Compression
  /** Largest record batch of one partition: the smallest `max.message.bytes` of the output topics. */
  readonly batchBytesMax?: number
  /** Told when a topic refused one of these for its size, before the run throws; the next claim sends smaller ones. */
  readonly sizeRefused?: (outputs: readonly OutputRecord[]) => Promise<void>
}

/** Every earlier owner must have used the same id, so it is made of names that do not change with the instance. */
export function transactionalIdOf(app: string, group: string, input: InputPartition): string {
  return [app, group, input.topic, input.partition].join(nameSeparator)
}

/** A broker that cannot even close a connection in this time is left to its own timeouts. */
const closeDeadlineMs = 5_000

export function openTransactionPort(parts: KafkaTransactionParts): TransactionPort {
  const { client, app } = parts
  return {
    clusterId: () => client.admin.clusterId(),
    claim: async (input, signal) => {
      signal.throwIfAborted()
      const producer = client.transactionalProducer(transactionalIdOf(app, client.plan.group, input))
      try {
        await fenceOthers(producer, parts, signal)
      } catch (error) {
        if (signal.aborted) throw signal.reason
        throw claimError(error, input, client.plan.transactionTimeoutMs)
      }
      return new KafkaClaim(parts, input, producer)
    },
  }
}

/** Makes the producer the only owner of its transactional id. Closes it when that fails or the signal aborts. */
export async function fenceOthers(
  producer: TransactionalProducer,
  parts: Pick<KafkaTransactionParts, 'clock' | 'log'>,
  signal: AbortSignal,
): Promise<void> {
  const fencing = producer.claim(signal)
  try {
    await untilAborted(fencing, signal)
  } catch (error) {
    void closeProducer(producer, parts)
    // What was abandoned goes on until kafkajs has an answer, and may connect once more.
    if (signal.aborted) void fencing.catch(() => undefined).then(() => closeProducer(producer, parts))
    throw error
  }
}

/** A batch is larger than the topic takes, or than one of its segments. */
export function isSizeRefused(error: unknown): boolean {
  return isProtocolError(error, 'MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE')
}

type State = 'ready' | 'running' | 'dead'

/**
 * One producer, one transaction at a time.
 *
 *     ready ──run──► running ──acknowledged──► ready
 *       │               │
 *       └────close──────┴──anything else──► dead
 */
class KafkaClaim implements Claim {
  readonly #parts: KafkaTransactionParts
  readonly #input: InputPartition
  readonly #producer: TransactionalProducer
  #state: State = 'ready'
  #closing: Promise<void> | null = null

  constructor(parts: KafkaTransactionParts, input: InputPartition, producer: TransactionalProducer) {
    this.#parts = parts
    this.#input = input
    this.#producer = producer
  }

  /**
   * Meant for a fresh claim. Right after a `run` of the same claim it may still tell the position before: the broker
   * acknowledges a commit first and writes it out afterwards, and only a claim waits for that.
   */
  async committed(signal: AbortSignal): Promise<CommittedPosition | null> {
    const { client } = this.#parts
    const { topic, partition } = this.#input
    const { offset, metadata } = await untilAborted(
      client.admin.groupOffset(client.plan.group, topic, partition),
      signal,
    )
    if (offset === -1) return null
    if (offset >= 0) return { offset, metadata }
    throw new MillraceError(
      'OFFSET_FOREIGN',
      `group ${client.plan.group} has offset ${offset} in ${this.#place()}; only −1 means none, so another program wrote it`,
    )
  }

  async run(outputs: readonly OutputRecord[], position: CommittedPosition): Promise<void> {
    if (this.#state === 'running') {
      throw new MillraceError('INTERNAL', `two transactions at once for ${this.#place()}`)
    }
    if (this.#state === 'dead') {
      throw new MillraceError(
        'TRANSACTION_NOT_COMMITTED',
        `the claim of ${this.#place()} has ended; claim again`,
      )
    }
    this.#state = 'running'
    const { client, clock, compression = 'none', batchBytesMax = defaultBatchBytesMax } = this.#parts
    const { group, transactionTimeoutMs } = client.plan
    const { topic, partition } = this.#input
    let transaction: Transaction | null = null
    const work = async (): Promise<void> => {
      transaction = this.#producer.begin()
      const how = { batchBytesMax, compression, timeoutMs: Math.ceil(transactionTimeoutMs / 2) }
      await transaction.send(outputs, { group, topic, partition, ...position }, how)
      await transaction.commit()
    }
    try {
      await withTimeout(work(), transactionTimeoutMs, clock, 'the transaction')
      if (this.#state === 'running') this.#state = 'ready'
    } catch (error) {
      this.#state = 'dead'
      this.#closing ??= this.#discard(transaction, error)
      if (isSizeRefused(error)) await this.#learnSizes(outputs)
      throw this.#failure(error, position)
    }
  }

  close(): Promise<void> {
    this.#state = 'dead'
    this.#closing ??= closeProducer(this.#producer, this.#parts)
    return this.#closing
  }

  /** Lets readers of the outputs go on sooner than the next claim would; where the state is unknown, that does it. */
  async #discard(transaction: Transaction | null, reason: unknown): Promise<void> {
    const { clock, log } = this.#parts
    if (transaction !== null) {
      // Not after the deadline: by then the caller has been told that nothing was committed by this claim.
      transaction.giveUp(reason)
      await withTimeout(transaction.abort(), closeDeadlineMs, clock, 'the abort').catch((error: unknown) => {
        log.debug({ ...this.#fields(), error: textOf(error) }, 'the transaction is left to the next claim')
      })
    }
    await closeProducer(this.#producer, this.#parts)
  }

  #failure(error: unknown, { offset }: CommittedPosition): MillraceError {
    const text = `the transaction of ${this.#place()} up to offset ${offset}`
    // Batches are split to fit: only a single record can be too large. Unless somebody learns from it, it stays so.
    if (isSizeRefused(error) && this.#parts.sizeRefused === undefined) {
      return new MillraceError(
        'KAFKA_RECORD_TOO_LARGE',
        `${text} holds a record an output topic refuses: ${textOf(error)}`,
        {
          cause: error,
        },
      )
    }
    if (isFenced(error)) {
      return new MillraceError(
        'TRANSACTION_FENCED',
        `${text} was refused: the partition has another owner, or the transaction timed out`,
        { cause: error },
      )
    }
    // A missing right comes back at every try. All else is tried again, a server that cannot be reached too.
    const mapped = kafkaError(error, text)
    if (mapped.code === 'KAFKA_UNAUTHORISED') return mapped
    return new MillraceError(
      'TRANSACTION_NOT_COMMITTED',
      `${text} has no acknowledged commit: ${textOf(error)}`,
      { cause: error },
    )
  }

  async #learnSizes(outputs: readonly OutputRecord[]): Promise<void> {
    const { sizeRefused, log } = this.#parts
    await sizeRefused?.(outputs).catch((error: unknown) => {
      log.warn({ ...this.#fields(), error: textOf(error) }, 'cannot learn what the output topics take')
    })
  }

  #place(): string {
    return `${this.#input.topic}:${this.#input.partition}`
  }

  #fields(): { readonly topic: string; readonly partition: number } {
    return { topic: this.#input.topic, partition: this.#input.partition }
  }
}

function claimError(
  error: unknown,
  { topic, partition }: InputPartition,
  transactionTimeoutMs: number,
): MillraceError {
  if (isProtocolError(error, 'INVALID_TRANSACTION_TIMEOUT')) {
    return new MillraceError(
      'TOPOLOGY_INVALID',
      `the broker refuses a transaction timeout of ${transactionTimeoutMs} ms; keep it below its transaction.max.timeout.ms`,
      { cause: error },
    )
  }
  return kafkaError(error, `claiming ${topic}:${partition}`)
}

export async function closeProducer(
  producer: TransactionalProducer,
  { clock, log }: Pick<KafkaTransactionParts, 'clock' | 'log'>,
): Promise<void> {
  try {
    await withTimeout(producer.close(), closeDeadlineMs, clock, 'closing the producer')
  } catch (error) {
    log.debug({ error: textOf(error) }, 'a producer was left to close by itself')
  }
}
