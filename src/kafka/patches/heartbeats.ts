import { withTimeout } from '../../time/deadline.ts'
import { systemClock } from '../../time/system-clock.ts'
import { isAway, isProtocolError, isRefused, textOf } from '../errors.ts'
import type { ConsumerGroup, Patchable } from '../internals.ts'
import { forgetCoordinator } from './coordinator-cache.ts'
import { awayMaxMs, NoBrokerAvailable } from './no-broker.ts'

/** Between two tries to reach a coordinator. */
const pauseMs = 100
/** A broker that lives answers within this; one that does not may not hold up the search: the next one is asked. */
const answerMaxMs = 1_000
const groupCoordinator = 0

const movedCoordinator = [
  'NOT_COORDINATOR_FOR_GROUP',
  'GROUP_COORDINATOR_NOT_AVAILABLE',
  'GROUP_LOAD_IN_PROGRESS',
]

/**
 * P-J. kafkajs looks for the coordinator of its group only when it joins: heartbeats to one that is gone fail until all
 * retries are used up, and one that has moved makes every member join again. And it waits for the answer of a heartbeat
 * between two fetches, so a silent coordinator stops the fetches, too. Here heartbeats go out beside the fetches, one
 * after another. One that fails, or is not answered within half the session, looks for the coordinator and goes on as
 * the same member: the next coordinator knows the members and begins their sessions anew. What an answer says of the
 * membership is thrown by the calls after it. When none is answered for half a minute the consumer is started anew: it
 * is no member any more, and may not look like one.
 *
 * `accepted`: name of the event that kafkajs emits for an accepted heartbeat.
 */
export function patchHeartbeats(consumerGroup: Patchable<ConsumerGroup>, accepted: string): void {
  const all = new WeakMap<ConsumerGroup, Heartbeats>()
  const heartbeatsOf = (group: ConsumerGroup): Heartbeats => {
    const known = all.get(group) ?? new Heartbeats(group, accepted)
    all.set(group, known)
    return known
  }
  consumerGroup.prototype.heartbeat = async function (this: ConsumerGroup, { interval }) {
    const heartbeats = heartbeatsOf(this)
    heartbeats.send(interval)
    heartbeats.throwAnswer()
  }
  const leave = consumerGroup.prototype.leave
  consumerGroup.prototype.leave = function (this: ConsumerGroup) {
    heartbeatsOf(this).stop()
    return leave.call(this)
  }
}

type Coordinator = NonNullable<ConsumerGroup['coordinator']>

/** An answer that ends the membership it was given to. */
interface Answer {
  readonly error: unknown
  readonly memberId: string | null
  readonly generationId: number | null
}

class Heartbeats {
  readonly #group: ConsumerGroup
  readonly #accepted: string
  #answer: Answer | null = null
  #underWay = false
  #searching = false
  /** That the coordinator was not found, once until it is. */
  #told = false
  #stopped = false
  #notBefore = 0
  /** Monotonic ms of the first heartbeat without an answer since the last with one. */
  #silentSince: number | null = null

  constructor(group: ConsumerGroup, accepted: string) {
    this.#group = group
    this.#accepted = accepted
  }

  /** Sends one if the last accepted one is `interval` ms ago; does not wait for the answer. */
  send(interval: number): void {
    const { memberId, coordinator, lastRequest } = this.#group
    const now = systemClock.now()
    if (this.#stopped || this.#underWay || memberId === null || coordinator === null) return
    if (now < Math.max(lastRequest + interval, this.#notBefore)) return
    // Never connects by itself: kafkajs opens a second connection over one that is being opened, and both break.
    if (!coordinator.isConnected()) return this.#search(coordinator)
    this.#underWay = true
    void this.#beat(coordinator, memberId).finally(() => (this.#underWay = false))
  }

  throwAnswer(): void {
    const { memberId, generationId } = this.#group
    const answer = this.#answer
    if (answer?.memberId === memberId && answer.generationId === generationId) throw answer.error
  }

  /** The member leaves. */
  stop(): void {
    this.#stopped = true
  }

  async #beat(coordinator: Coordinator, memberId: string): Promise<void> {
    const { groupId, generationId, sessionTimeout, instrumentationEmitter } = this.#group
    const request = { groupId, memberId, groupGenerationId: generationId }
    try {
      const answered = coordinator.heartbeat(request)
      await withTimeout(answered, sessionTimeout / 2, systemClock, 'a heartbeat')
      if (this.#group.generationId !== generationId) return
      this.#group.lastRequest = systemClock.now()
      this.#answer = null
      this.#silentSince = null
      instrumentationEmitter.emit(this.#accepted, request)
    } catch (error) {
      this.#notBefore = systemClock.now() + pauseMs
      if (isAway(error) || isProtocolError(error, ...movedCoordinator))
        this.#search(coordinator.isConnected() ? null : coordinator)
      else {
        this.#silentSince = null
        this.#answer = { error, memberId, generationId }
      }
    }
  }

  /** `lost`: a coordinator whose connection is gone, which may only need another. */
  #search(lost: Coordinator | null): void {
    this.#noteSilence()
    if (this.#searching || this.#stopped) return
    this.#searching = true
    // A join meanwhile must not wait for the one that does not answer.
    forgetCoordinator(this.#group.cluster, this.#group.groupId)
    void this.#find(lost).finally(() => (this.#searching = false))
  }

  /** As many tries as they may be: nobody knows this member any more. */
  #noteSilence(): void {
    const { memberId, generationId, sessionTimeout } = this.#group
    const now = systemClock.monotonic()
    this.#silentSince ??= now
    const silentMs = now - this.#silentSince
    if (silentMs <= Math.max(awayMaxMs, 2 * sessionTimeout)) return
    const error = new NoBrokerAvailable(`no heartbeat was answered for ${Math.round(silentMs / 1000)} s`)
    this.#answer = { error, memberId, generationId }
    this.#silentSince = null
  }

  async #find(lost: Coordinator | null): Promise<void> {
    const { cluster, groupId, memberId, generationId, logger } = this.#group
    try {
      await systemClock.sleep(pauseMs)
      if (this.#stopped) return
      const found = (await this.#reconnected(lost)) ?? (await this.#present())
      this.#told = false
      this.#group.coordinator = found
      if (this.#group.offsetManager) this.#group.offsetManager.coordinator = found
    } catch (error) {
      if (this.#stopped) return
      if (!this.#told) logger.warn(`The coordinator was not found: ${textOf(error)}`, { groupId })
      this.#told = true
      // What brokers answer to the search itself is only known as "not found".
      if (isRefused(error)) this.#answer = { error, memberId, generationId }
      else await within(cluster.refreshMetadata()).catch(() => undefined) // the next search needs a broker to ask
    }
  }

  /** The same coordinator over another connection: others may be slower to answer who it is. */
  async #reconnected(lost: Coordinator | null): Promise<Coordinator | null> {
    if (lost === null) return null
    return within(this.#group.cluster.findBroker({ nodeId: lost.nodeId })).catch(() => null)
  }

  /** Asked anew: what is remembered may be the one that does not answer. */
  async #present(): Promise<Coordinator> {
    const { cluster, groupId } = this.#group
    const question = { groupId, coordinatorType: groupCoordinator }
    const { coordinator } = await within(cluster.findGroupCoordinatorMetadata(question))
    return within(cluster.findBroker({ nodeId: coordinator.nodeId }))
  }
}

function within<T>(answered: Promise<T>): Promise<T> {
  answered.catch(() => undefined) // may fail after nobody waits any more
  return withTimeout(answered, answerMaxMs, systemClock, 'the search for the coordinator')
}
