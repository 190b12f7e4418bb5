import type { OutputRecord } from '../../record/output.ts'
import type { Clock } from '../../time/clock.ts'
import type { Compression } from '../codecs.ts'
import { isProtocolError } from '../errors.ts'
import { protocolError } from '../kafkajs.ts'
import { both } from './both.ts'
import type { BufferPool } from './buffer-pool.ts'
import { beginRequest, sendRequest } from './connection.ts'
import { HeaderBytes } from './encode-record-batch.ts'
import { GrowingBuffer } from './growing-buffer.ts'
import { outputBatches, type OutputBatch } from './output-batches.ts'
import { decodeProduce, encodeProduce, produceApi, produceVersion, type Produced } from './produce.ts'
import { mendConnections, retried, transactionPauses, type Pauses } from './retry.ts'
import type { ProducerIdentity, TransactionBroker, TransactionCluster } from './transaction-cluster.ts'

/** Position of a group in one partition. */
export interface GroupPosition {
  readonly group: string
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly metadata: string
}

export interface SendOptions {
  /** Largest record batch of one partition. */
  readonly batchBytesMax: number
  readonly compression: Compression
  /** How long a leader may wait for its followers. */
  readonly timeoutMs: number
}

/** The producer of one transactional id; errors are those of kafkajs. One transaction at a time. */
export interface TransactionalProducer {
  /**
   * Connects and makes this the only owner of the id: the broker ends its open transaction (waiting for one that is being
   * committed) and refuses earlier owners from then on.
   */
  claim(signal: AbortSignal): Promise<void>
  /** Sends nothing. */
  begin(): Transaction
  /** Waits for answers that are due. */
  close(): Promise<void>
}

export interface Transaction {
  /**
   * Everything the transaction consists of. Resolves when all of it is acknowledged; settles when none of its requests is
   * under way any more. To be called once.
   */
  send(outputs: readonly OutputRecord[], position: GroupPosition | null, options: SendOptions): Promise<void>
  /** Nobody waits any more: `send` tries nothing again, and `commit` is refused. */
  giveUp(reason: unknown): void
  commit(): Promise<void>
  /** Sends nothing when nothing was added, or the transaction has been ended before. */
  abort(): Promise<void>
}

export interface TransactionalProducerParts {
  readonly cluster: TransactionCluster
  readonly transactionalId: string
  readonly transactionTimeoutMs: number
  readonly clientId: string
  readonly clock: Clock
  readonly buffers: BufferPool
}

const groupCoordinator = 0
const transactionCoordinator = 1

export function openTransactionalProducer(parts: TransactionalProducerParts): TransactionalProducer {
  const { cluster, clock, transactionalId } = parts
  let identity: ProducerIdentity | null = null
  let isClosed = false
  const assertOpen = (): void => {
    if (isClosed) throw new Error('the producer is closed')
  }
  const initialise = async (): Promise<void> => {
    assertOpen()
    await cluster.refreshMetadataIfNecessary()
    const coordinator = await cluster.findGroupCoordinator({
      groupId: transactionalId,
      coordinatorType: transactionCoordinator,
    })
    const { producerId, producerEpoch } = await coordinator.initProducerId({
      transactionalId,
      transactionTimeout: parts.transactionTimeoutMs,
    })
    identity = { transactionalId, producerId, producerEpoch }
  }
  const headerBytes = new HeaderBytes()
  const sequences = new Map<string, number>()
  return {
    claim: async (signal) => {
      assertOpen()
      await cluster.connect()
      // Of a claim that nobody wants any more only the successor would notice something: it is fenced once.
      signal.throwIfAborted()
      const mayPass = (error: unknown): Promise<boolean> =>
        Promise.resolve(isProtocolError(error, 'CONCURRENT_TRANSACTIONS', ...coordinatorMoved))
      await retried(initialise, mayPass, { pauses: transactionPauses, clock, signal })
    },
    begin: () => {
      assertOpen()
      if (identity === null) throw new Error('the producer has not claimed its id')
      return new WireTransaction(parts, identity, headerBytes, sequences)
    },
    close: async () => {
      isClosed = true
      await cluster.disconnect()
    },
  }
}

/**
 * Three waits: what takes part is announced, outputs and position are sent, the end is told. The two requests of the first
 * wait go to one coordinator over one connection, which a broker serves in order: side by side they would refuse each other.
 */
class WireTransaction implements Transaction {
  readonly #parts: TransactionalProducerParts
  readonly #identity: ProducerIdentity
  readonly #headerBytes: HeaderBytes
  /** Of the next record, by partition. */
  readonly #sequences: Map<string, number>
  readonly #stop = new AbortController()
  #isAdded = false
  #isEnded = false

  constructor(
    parts: TransactionalProducerParts,
    identity: ProducerIdentity,
    headerBytes: HeaderBytes,
    sequences: Map<string, number>,
  ) {
    this.#parts = parts
    this.#identity = identity
    this.#headerBytes = headerBytes
    this.#sequences = sequences
  }

  async send(
    outputs: readonly OutputRecord[],
    position: GroupPosition | null,
    options: SendOptions,
  ): Promise<void> {
    const requests = outputBatches(outputs, options.batchBytesMax, this.#headerBytes)
    await both(
      () => this.#addPartitions(requests.flat()),
      () => this.#addOffsets(position),
      this.#stop,
    )
    await both(
      () => this.#produce(requests, options),
      () => this.#commitOffset(position),
      this.#stop,
    )
  }

  giveUp(reason: unknown): void {
    this.#stop.abort(reason)
  }

  async commit(): Promise<void> {
    this.#stop.signal.throwIfAborted()
    await this.#end(true)
  }
  async abort(): Promise<void> {
    if (this.#isAdded && !this.#isEnded) await this.#end(false)
  }
  async #end(transactionResult: boolean): Promise<void> {
    this.#isEnded = true
    const coordinator = await this.#coordinator()
    await coordinator.endTxn({ ...this.#identity, transactionResult })
  }

  async #addPartitions(batches: readonly OutputBatch[]): Promise<void> {
    if (batches.length === 0) return
    const topics = [...Map.groupBy(batches, ({ topic }) => topic)].map(([topic, ofTopic]) => {
      return { topic, partitions: [...new Set(ofTopic.map(({ partition }) => partition))] }
    })
    const add = async (): Promise<void> => {
      await this.#refreshMetadata(topics.map(({ topic }) => topic))
      // An unknown partition would be refused as one that may still come to be.
      for (const batch of batches) this.#leaderOf(batch)
      const coordinator = await this.#coordinator()
      await coordinator.addPartitionsToTxn({ ...this.#identity, topics })
      this.#isAdded = true
    }
    await this.#retried(add)
  }

  async #addOffsets(position: GroupPosition | null): Promise<void> {
    if (position === null) return
    const add = async (): Promise<void> => {
      const coordinator = await this.#coordinator()
      await coordinator.addOffsetsToTxn({ ...this.#identity, groupId: position.group })
      this.#isAdded = true
    }
    await this.#retried(add)
  }

  /** One request after another to each leader: concurrent ones would reuse sequence numbers after an error. */
  async #produce(requests: readonly (readonly OutputBatch[])[], options: SendOptions): Promise<void> {
    for (const batches of requests) {
      let left = batches
      const write = async (): Promise<void> => {
        await this.#refreshMetadata(left.map(({ topic }) => topic))
        const byLeader = Map.groupBy(left, (batch) => this.#leaderOf(batch))
        const written = new Set<OutputBatch>()
        const failures: unknown[] = []
        // The next try begins when all have answered: one that has not may still write what it was sent.
        await Promise.all(
          [...byLeader].map(([nodeId, some]) =>
            this.#produceTo(nodeId, some, options, written).catch((error: unknown) => failures.push(error)),
          ),
        )
        left = left.filter((batch) => !written.has(batch))
        if (failures.length > 0) throw failures[0]
      }
      await this.#retried(write)
    }
  }

  /** Throws what went wrong first with those that are not added to `written`. */
  async #produceTo(
    nodeId: number,
    batches: readonly OutputBatch[],
    options: SendOptions,
    written: Set<OutputBatch>,
  ): Promise<void> {
    const { cluster, clientId, clock, buffers } = this.#parts
    const broker = await cluster.findBroker({ nodeId })
    const apiVersion = produceVersion(broker.versions?.[produceApi.apiKey]?.maxVersion ?? 0)
    if (apiVersion === null)
      throw new Error('the broker knows no record batches: it is older than Kafka 0.11')
    const api = { ...produceApi, apiVersion }
    const buffer = new GrowingBuffer(buffers.take())
    beginRequest(buffer, api, clientId)
    const sequenced = batches.map((batch) => ({
      ...batch,
      sequence: this.#sequences.get(placeOf(batch)) ?? 0,
    }))
    const { transactionalId, producerId, producerEpoch } = this.#identity
    const { compression, timeoutMs } = options
    const head = { transactionalId, producerId: BigInt(producerId), producerEpoch, compression, timeoutMs }
    await encodeProduce(buffer, sequenced, { ...head, timestampMs: clock.now() }, this.#headerBytes)
    const { partitions } = await sendRequest(broker, api, buffer, (payload) =>
      decodeProduce(payload, apiVersion),
    )
    buffers.give(buffer.bytes)
    this.#judge(batches, partitions, written)
  }

  #judge(batches: readonly OutputBatch[], answers: readonly Produced[], written: Set<OutputBatch>): void {
    const codes = new Map(answers.map((answer) => [placeOf(answer), answer.errorCode]))
    const isWritten = (batch: OutputBatch): boolean => codes.get(placeOf(batch)) === 0
    for (const batch of batches.filter(isWritten)) {
      const place = placeOf(batch)
      this.#sequences.set(place, nextSequence(this.#sequences.get(place) ?? 0, batch.records.length))
      written.add(batch)
    }
    const failed = batches.find((batch) => !isWritten(batch))
    if (failed === undefined) return
    const code = codes.get(placeOf(failed))
    throw code === undefined ? new Error(`not acknowledged: ${placeOf(failed)}`) : protocolError(code)
  }

  /**
   * Only clear refusals are tried again: after a timeout the request may still be on its way, and would move the position
   * back if it came during a later transaction.
   */
  async #commitOffset(position: GroupPosition | null): Promise<void> {
    if (position === null) return
    const { group, topic, partition, offset, metadata } = position
    const topics = [{ topic, partitions: [{ partition, offset: String(offset), metadata }] }]
    const commit = async (): Promise<void> => {
      const coordinator = await this.#parts.cluster.findGroupCoordinator({
        groupId: group,
        coordinatorType: groupCoordinator,
      })
      await coordinator.txnOffsetCommit({ ...this.#identity, groupId: group, topics })
    }
    const mayPass = (error: unknown): Promise<boolean> =>
      Promise.resolve(isProtocolError(error, ...refusedForNow))
    await retried(commit, mayPass, {
      pauses: offsetPauses,
      clock: this.#parts.clock,
      signal: this.#stop.signal,
    })
  }

  async #refreshMetadata(topics: readonly string[]): Promise<void> {
    const { cluster } = this.#parts
    if (topics.some((topic) => !cluster.targetTopics.has(topic)))
      await cluster.addMultipleTargetTopics(topics)
    await cluster.refreshMetadataIfNecessary()
  }

  #leaderOf({ topic, partition }: OutputBatch): number {
    const partitions = this.#parts.cluster.findTopicPartitionMetadata(topic)
    const found = partitions.find(({ partitionId }) => partitionId === partition)
    if (found === undefined) throw new Error(`not acknowledged: ${topic}:${partition}, which does not exist`)
    return found.leader
  }

  #coordinator(): Promise<TransactionBroker> {
    return this.#parts.cluster.findGroupCoordinator({
      groupId: this.#identity.transactionalId,
      coordinatorType: transactionCoordinator,
    })
  }

  /** For requests that may arrive twice. */
  #retried(attempt: () => Promise<void>): Promise<void> {
    const { cluster, clock } = this.#parts
    const mayPass = (error: unknown): Promise<boolean> => mendConnections(cluster, error)
    return retried(attempt, mayPass, { pauses: transactionPauses, clock, signal: this.#stop.signal })
  }
}

const coordinatorMoved = [
  'GROUP_LOAD_IN_PROGRESS',
  'GROUP_COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR_FOR_GROUP',
]
const refusedForNow = ['CONCURRENT_TRANSACTIONS', 'UNKNOWN_TOPIC_OR_PARTITION', ...coordinatorMoved]

/** A coordinator moves within seconds; the deadline of the transaction ends the tries. */
const offsetPauses: Pauses = { firstMs: 1, multiplier: 2, maxMs: 20, triesMax: Infinity }

function placeOf({ topic, partition }: { readonly topic: string; readonly partition: number }): string {
  return `${topic}:${partition}`
}

/** Sequence numbers are 31 bits, and begin again at 0. */
export function nextSequence(sequence: number, records: number): number {
  return (sequence + records) % 2 ** 31
}
