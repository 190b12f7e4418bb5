import type { InputPartition } from '../../src/record/input.ts'
import type { AssignmentHandler } from '../../src/source/source.ts'
import type { Dice } from './dice.ts'
import type { Host } from './host.ts'
import type { Kafka } from './kafka.ts'
import { SimulatedStream } from './stream.ts'
import type { Wire } from './wire.ts'

export const sessionTimeoutMs = 2_500
const heartbeatMaxMs = 500
const revokeDeadlineMs = 2_000
const rebalanceTimeoutMs = 4_000

/** The consumer inside one process. */
interface Member {
  readonly host: Host
  readonly handler: AssignmentHandler
  /** Of the generation it works in; 0: none yet. */
  generation: number
  over: AbortController
  state: 'working' | 'revoking' | 'waiting'
  /** When the last message of the coordinator reaches it, so that they arrive in order. */
  mailMs: number
}

interface Round {
  readonly generation: number
  readonly joined: Set<Member>
}

/**
 * The coordinator of the group: generations, session timeouts, and members that were thrown out without knowing it, who
 * go on with what they hold until their next heartbeat is refused.
 */
export class Group {
  readonly #wire: Wire
  readonly #kafka: Kafka
  readonly #inputs: readonly InputPartition[]
  readonly #members = new Set<Member>()
  #generation = 0
  #round: Round | null = null

  constructor(wire: Wire, kafka: Kafka, inputs: readonly InputPartition[]) {
    this.#wire = wire
    this.#kafka = kafka
    this.#inputs = inputs
  }

  join(host: Host, handler: AssignmentHandler): void {
    const member: Member = {
      host,
      handler,
      generation: 0,
      over: new AbortController(),
      state: 'waiting',
      mailMs: 0,
    }
    this.#joined(member)
  }

  rebalance(): void {
    if (this.#round === null) this.#open()
  }

  /** The session of a process ran out, or it said good-bye. It learns of it at its next heartbeat. */
  forget(host: Host): void {
    for (const member of this.#members) if (member.host === host) this.#throwOut(member)
  }

  #throwOut(member: Member): void {
    this.#members.delete(member)
    this.#round?.joined.delete(member)
    this.#note(member, 'is thrown out of the group')
    this.#mail(member, this.#dice(member.host).between(0, 3_000), () => {
      if (member.state === 'waiting') this.#joined(member)
      else this.#revoke(member)
    })
    if (this.#round) this.#closeWhenComplete()
    else this.#open()
  }

  #open(): void {
    const round: Round = { generation: ++this.#generation, joined: new Set() }
    this.#round = round
    this.#wire.trace.count('rebalance')
    this.#wire.trace.add(this.#wire.timeline.nowMs, 'group', 'rebalances, generation', round.generation)
    for (const member of this.#members) this.#call(member)
    this.#wire.timeline.at(rebalanceTimeoutMs, () => {
      if (this.#round !== round) return
      for (const member of this.#members) if (!round.joined.has(member)) this.#throwOut(member)
    })
  }

  #call(member: Member): void {
    this.#mail(member, this.#dice(member.host).between(0, heartbeatMaxMs), () => this.#revoke(member))
  }

  /** Runs in the process: finishes what is open, then joins again. */
  #revoke(member: Member): void {
    if (member.state !== 'working') return
    member.state = 'revoking'
    const { host, handler } = member
    const deadline = host.clock.sleep(revokeDeadlineMs)
    void Promise.race([handler.revoking(), deadline]).then(() => {
      member.over.abort(new DOMException('the generation is over', 'AbortError'))
      member.state = 'waiting'
      this.#wire.timeline.at(this.#dice(host).between(1, 10), () => this.#joined(member))
    })
  }

  #joined(member: Member): void {
    if (member.host.isDead) return
    this.#members.add(member)
    if (this.#round === null) this.#open()
    this.#round?.joined.add(member)
    this.#closeWhenComplete()
  }

  #closeWhenComplete(): void {
    const round = this.#round
    if (round === null || this.#members.size === 0 || round.joined.size < this.#members.size) return
    this.#round = null
    const shares = new Map([...this.#members].map((member) => [member, [] as InputPartition[]]))
    const members = [...this.#members]
    const first = this.#wire.timeline.dice('assignments').below(members.length)
    for (const [index, input] of this.#inputs.entries()) {
      shares.get(members[(first + index) % members.length] as Member)?.push(input)
    }
    for (const [member, inputs] of shares) {
      this.#mail(member, this.#dice(member.host).between(1, 60), () =>
        this.#assign(member, round.generation, inputs),
      )
    }
  }

  /** Runs in the process. */
  #assign(member: Member, generation: number, inputs: readonly InputPartition[]): void {
    member.over = new AbortController()
    member.generation = generation
    member.state = 'working'
    const { host } = member
    this.#note(member, 'is assigned', inputs.map((input) => `${input.topic}:${input.partition}`).join(' '))
    member.handler.assigned(
      inputs.map(
        (input) =>
          new SimulatedStream({
            wire: this.#wire,
            kafka: this.#kafka,
            host,
            input,
            ended: member.over.signal,
            isMember: () =>
              this.#members.has(member) && this.#round === null && this.#generation === generation,
          }),
      ),
    )
  }

  #mail(member: Member, delayMs: number, run: () => void): void {
    const { timeline } = this.#wire
    member.mailMs = Math.max(member.mailMs, timeline.nowMs + delayMs)
    member.host.deliver(member.mailMs - timeline.nowMs, run)
  }

  #dice(host: Host): Dice {
    return this.#wire.timeline.dice(`${host.name} group`)
  }

  #note(member: Member, ...what: string[]): void {
    this.#wire.trace.add(this.#wire.timeline.nowMs, member.host.name, ...what)
  }
}
