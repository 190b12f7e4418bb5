import type { Random } from '../../src/simulator/random.ts'
import { systemClock } from '../../src/time/system-clock.ts'
import type { FaultWorld } from './fault-world.ts'
import type { Injected } from './scenario.ts'
import type { Seat } from './seat.ts'
import type { RuleAction, RuleHandle, WireRule } from './wire/proxy.ts'

/** What faults are made of. */

/** Where a process is when its request or reply passes: a failpoint without code in the product. */
export interface Point extends Pick<WireRule, 'on' | 'at' | 'where'> {
  readonly server: 'kafka' | 'redis'
  /** Taken at one of the first matches. Default 3. */
  readonly nthMax?: number
}

export function now(): number {
  return systemClock.monotonic()
}

export function pause(ms: number): Promise<void> {
  return systemClock.sleep(ms)
}

export function armed(
  seat: Seat,
  { server, on, at, where, nthMax = 3 }: Point,
  action: RuleAction,
  random: Random,
): RuleHandle {
  const rule: WireRule = {
    on,
    at,
    action,
    nth: 1 + random.below(nthMax),
    times: 1,
    ...(where === undefined ? {} : { where }),
  }
  return server === 'kafka' ? seat.onKafka(rule) : seat.onRedis(rule)
}

const reachMaxMs = 40_000

/** Waits until the rule acted. */
export async function reached(world: FaultWorld, handle: RuleHandle, what: string): Promise<void> {
  try {
    await world.until(what, () => handle.hits > 0, reachMaxMs)
  } finally {
    handle.remove()
  }
}

/** Whether the seat has claimed a partition since now: kafkajs asks for offsets by itself right after it joined. */
export function sinceClaim(seat: Seat): () => boolean {
  const claims = (): number => seat.route.kafka.reduce((sum, wire) => sum + wire.seen('InitProducerId'), 0)
  const before = claims()
  return () => claims() > before
}

/** SIGKILL of somebody, now; the process starts again at once. */
export async function kill(world: FaultWorld, random: Random, after = ''): Promise<Injected> {
  const seat = await world.victim(random)
  const { name } = seat
  const affected = seat.partitions(world.topic)
  await seat.kill()
  const at = now()
  void seat.start()
  return { what: `${after === '' ? '' : `${after}, `}SIGKILL of ${name}`, at, affected }
}

/** SIGKILL in the moment the point is reached. What passed before arrives; with `drop` the message itself does not. */
export async function killAt(
  world: FaultWorld,
  seat: Seat,
  point: Point,
  random: Random,
  options: { readonly drop?: boolean; readonly trigger?: () => Promise<unknown> } = {},
): Promise<Injected> {
  let at = 0
  let affected: readonly number[] = []
  const name = seat.name
  const kill = {
    kind: 'call',
    run: async () => {
      affected = seat.partitions(world.topic, alive)
      await seat.kill()
      at = now()
    },
  } as const
  const where = `${point.on} ${point.at}`
  const handle = armed(seat, point, kill, random)
  // Also what comes behind: nothing of the dead one is to arrive.
  const lost = options.drop ? dropAfter(seat, point, handle) : null
  await options.trigger?.()
  await reached(world, handle, `${name} is at ${where}`)
  await world.until(`${name} is dead`, () => at > 0)
  lost?.remove()
  void seat.start()
  return { what: `SIGKILL of ${name} at ${where}`, at, ...(affected.length > 0 ? { affected } : {}) }
}

/** Statuses of a partition that somebody holds or takes. */
export const alive = ['claiming', 'replaying', 'serving', 'paused', 'fenced', 'waiting', 'draining']

function dropAfter(seat: Seat, { server, on }: Point, first: RuleHandle): RuleHandle {
  const rule: WireRule = { on, at: 'request', action: { kind: 'drop' }, where: () => first.hits > 0 }
  return server === 'kafka' ? seat.onKafka(rule) : seat.onRedis(rule)
}

/** SIGSTOP at the point; healed by SIGCONT once others have taken over. */
export async function stopAt(
  world: FaultWorld,
  seat: Seat,
  point: Point,
  random: Random,
  trigger?: () => Promise<unknown>,
): Promise<Injected> {
  let at = 0
  let affected: readonly number[] = []
  const where = `${point.on} ${point.at}`
  const run = (): void => {
    affected = seat.partitions(world.topic, alive)
    seat.isAsleep = true
    seat.process.signal('SIGSTOP')
    at = now()
  }
  const handle = armed(seat, point, { kind: 'call', run }, random)
  await trigger?.()
  await reached(world, handle, `${seat.name} is at ${where}`)
  const asleep = seat.process.lines.length
  return {
    what: `SIGSTOP of ${seat.name} at ${where}`,
    at,
    ...(affected.length > 0 ? { affected } : {}),
    heal: () => wake(world, seat, asleep),
  }
}

/** SIGCONT, and waits until it is a member again, or has proved to be one still: a short sleep costs no membership. */
async function wake(world: FaultWorld, seat: Seat, asleep: number): Promise<void> {
  const { process } = seat
  process.signal('SIGCONT')
  seat.isAsleep = false
  const since = now()
  const hasJoined = (): boolean => process.lines.slice(asleep).some(({ msg }) => msg === 'joined the group')
  const hasEnded = (): boolean => process.exit !== null // judged by world.noteEnds
  await world.until(
    `${process.name} is back`,
    () => hasEnded() || hasJoined() || world.isSoleOwner(seat, since),
  )
}

/** Ends another seat's process with SIGTERM and starts its next one: a rebalance at once, and one more soon. */
export async function restartOther(world: FaultWorld, than: Seat, random: Random): Promise<void> {
  const others = world.running.filter((seat) => seat !== than && !seat.isAsleep)
  const other = others[random.below(others.length)]
  if (other === undefined) throw new Error('there is no other process')
  const hasJoined = other.process.lines.some(({ msg }) => msg === 'joined the group')
  const problem = await other.stop()
  // Before that the signal may find a process that does not listen yet.
  if (problem !== null && hasJoined) world.violations.push(problem)
  void other.start()
}
