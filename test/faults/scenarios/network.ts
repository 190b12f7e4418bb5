import type { Random } from '../../../src/simulator/random.ts'
import { alive, armed, now, pause, reached, type Point } from '../acts.ts'
import type { FaultWorld } from '../fault-world.ts'
import type { Injected, Scenario } from '../scenario.ts'
import type { Seat } from '../seat.ts'
import type { RuleAction, Shape, Wire, WireRequest } from '../wire/proxy.ts'
import { nameSeparator } from '../../../src/record/input.ts'
import { isCommit, transactionalIdOf } from '../wire/kafka-requests.ts'
import { oneBroker, smallCache, smallSlices, threeBrokers } from './settings.ts'

/** Soon given up, so that what is delayed arrives after the abort and the next claim. */
const hasty = { ...smallSlices, kafka: { transactionTimeout: '2s' } } as const
const base = { group: 'network', stack: oneBroker, processes: 2, topology: smallSlices } as const
/** By then the transaction is given up. */
const givenUpMs = 2_300

/**
 * One request of a transaction is held up while its client gives the transaction up, loses its connections, and the
 * partition is claimed again; then it arrives in the middle of later transactions.
 */
function late(name: string, summary: string, id: string, point: Point): Scenario {
  return {
    ...base,
    name,
    summary,
    covers: [id],
    topology: hasty,
    inject: (world, random) => arriveLate(world, random, point),
  }
}

async function arriveLate(world: FaultWorld, random: Random, point: Point): Promise<Injected> {
  await pause(random.below(300))
  const seat = await world.victim(random)
  const affected = seat.partitions(world.topic, alive)
  const { promise: released, resolve: release } = Promise.withResolvers<void>()
  const held = armed(seat, point, { kind: 'hold', until: released, overtake: true }, random)
  try {
    await reached(world, held, `${point.on} of ${seat.name} passes`)
    const at = now()
    const partition = partitionOf(await held.hit)
    await pause(givenUpMs)
    const claims = world.seats.map((one) =>
      one.onKafka({ on: 'InitProducerId', at: 'reply', where: isOf(partition), action: noted }),
    )
    for (const wire of seat.route.kafka) {
      wire.cut('reset')
      wire.cut(null)
    }
    await world.until('the partition is claimed again', () => claims.some(({ hits }) => hits > 0))
    for (const claim of claims) claim.remove()
    await pause(random.below(500))
    return { what: `${point.on} of ${seat.name} came after the next claim`, at, affected }
  } finally {
    release()
  }
}

const noted = { kind: 'call', run: () => {} } as const

/** Of the scored topic, whose transaction it is. */
function partitionOf({ bytes }: { readonly bytes: Buffer }): number {
  return Number(transactionalIdOf(bytes)?.split(nameSeparator).at(-1))
}

async function onRequest(
  world: FaultWorld,
  random: Random,
  point: Point,
  action: RuleAction,
): Promise<Injected> {
  await pause(random.below(300))
  const seat = await world.victim(random)
  const affected = seat.partitions(world.topic, alive)
  await reached(world, armed(seat, point, action, random), `${point.on} of ${seat.name} passes`)
  const at = now()
  return {
    what: `${point.on} of ${seat.name}: ${action.kind}`,
    at,
    affected,
    // The next round may not begin before what is late has come.
    heal: () => pause('ms' in action ? Math.max(0, action.ms - (now() - at)) : 0),
  }
}

/** Something done to all connections of one process to Kafka, or to Redis, for a while. */
function line(
  name: string,
  summary: string,
  id: string,
  wiresOf: (seat: Seat) => readonly Wire[],
  lastsMs: readonly [number, number],
  change: (wire: Wire) => void,
  from: 'fault' | 'heal' = 'heal',
): Scenario {
  return {
    ...base,
    name,
    summary,
    covers: [id],
    topology: smallCache,
    mixes: true,
    inject: async (world, random) => {
      await pause(random.below(300))
      const seat = await world.victim(random)
      const ms = lastsMs[0] + random.below(lastsMs[1] - lastsMs[0])
      const affected = seat.partitions(world.topic, alive)
      const began = now()
      for (const wire of wiresOf(seat)) change(wire)
      await pause(ms)
      for (const wire of wiresOf(seat)) {
        wire.cut(null)
        wire.shape(null)
      }
      return { what: `${name} of ${seat.name} for ${ms} ms`, at: from === 'heal' ? now() : began, affected }
    },
  }
}

const toKafka = (seat: Seat): readonly Wire[] => seat.route.kafka
const toRedis = (seat: Seat): readonly Wire[] => seat.route.redis
const slow: Shape = { latencyMs: 20, jitterMs: 60, bytesPerSecond: 40_000, sliceBytes: 200 }
const commit = ({ bytes }: { bytes: Buffer }): boolean => isCommit(bytes) === true

export const networkScenarios: readonly Scenario[] = [
  late(
    'late-produce',
    'a Produce arrives after its transaction was aborted and the partition claimed again',
    'late-produce',
    {
      server: 'kafka',
      on: 'Produce',
      at: 'request',
    },
  ),
  {
    ...base,
    name: 'late-produce-after-abort',
    summary: 'a Produce arrives after the clean abort of its transaction, when the next one has begun',
    covers: ['late-produce'],
    stack: threeBrokers,
    topology: hasty,
    inject: produceAfterAbort,
  },
  late('late-offsets', 'a TxnOffsetCommit arrives after the abort and the next claim', 'late-offsets', {
    server: 'kafka',
    on: 'TxnOffsetCommit',
    at: 'request',
  }),
  late(
    'late-commit',
    'an EndTxn arrives after the transaction was given up and the partition claimed again',
    'late-end',
    {
      server: 'kafka',
      on: 'EndTxn',
      at: 'request',
      where: commit,
    },
  ),
  {
    ...base,
    name: 'lost-commit-reply',
    summary: 'the commit is done, its reply is lost with the connection',
    covers: ['lost-reply'],
    mixes: true,
    inject: (world, random) =>
      onRequest(
        world,
        random,
        { server: 'kafka', on: 'EndTxn', at: 'reply', where: commit },
        { kind: 'reset' },
      ),
  },
  {
    ...base,
    name: 'lost-flush-reply',
    summary: 'the flush script ran, its reply is lost with the connection',
    covers: ['lost-reply'],
    mixes: true,
    inject: (world, random) =>
      onRequest(world, random, { server: 'redis', on: 'millraceFlush', at: 'reply' }, { kind: 'reset' }),
  },
  line(
    'kafka-reset',
    'all connections to Kafka are reset, new ones too',
    'reset',
    toKafka,
    [100, 1_500],
    (wire) => wire.cut('reset'),
  ),
  line(
    'kafka-black-hole',
    'nothing passes between a process and Kafka; what was sent arrives later',
    'black-hole',
    toKafka,
    [1_000, 6_000],
    (wire) => wire.cut('blackHole'),
  ),
  line(
    'kafka-half-open',
    "the broker's ends of the connections are gone, the process hears nothing",
    'half-open',
    toKafka,
    [1_000, 4_000],
    (wire) => wire.cut('halfOpen'),
  ),
  line(
    'kafka-slow',
    '20 to 80 ms each way, 40 kB/s, in slices',
    'slow',
    toKafka,
    [2_000, 4_000],
    (wire) => wire.shape(slow),
    'fault',
  ),
  line(
    'redis-reset',
    'all connections to Redis are reset, new ones too',
    'reset',
    toRedis,
    [100, 1_500],
    (wire) => wire.cut('reset'),
  ),
  line(
    'redis-black-hole',
    'nothing passes between a process and Redis; what was sent arrives later',
    'black-hole',
    toRedis,
    [500, 4_000],
    (wire) => wire.cut('blackHole'),
  ),
  line(
    'redis-half-open',
    "Redis's ends of the connections are gone, the process hears nothing",
    'half-open',
    toRedis,
    [500, 3_000],
    (wire) => wire.cut('halfOpen'),
  ),
  line(
    'redis-slow',
    '20 to 80 ms each way, 40 kB/s, in slices',
    'slow',
    toRedis,
    [2_000, 4_000],
    (wire) => wire.shape(slow),
    'fault',
  ),
  {
    ...base,
    name: 'sole-owner-times-out',
    summary: 'the only process sleeps over its transaction timeout, but not over its session',
    covers: ['transaction-timeout'],
    processes: 1,
    topology: { ...smallSlices, kafka: { transactionTimeout: '2s', sessionTimeout: '20s' } },
    inject: async (world, random) => {
      const seat = await world.victim(random)
      const stop = { kind: 'call', run: () => seat.process.signal('SIGSTOP') } as const
      const point = { server: 'kafka', on: 'TxnOffsetCommit', at: 'reply' } as const
      await reached(world, armed(seat, point, stop, random), 'everything but the commit is sent')
      await pause(4_500) // the timeout, and the broker looks once a second
      seat.process.signal('SIGCONT')
      return { what: `${seat.name} slept 4.5 s in a transaction`, at: now() }
    },
  },
  {
    ...base,
    name: 'commit-before-claim',
    summary: "a dead owner's commit arrives just before the claim of its successor, who must see it",
    covers: ['late-end'],
    processes: 3,
    inject: commitBeforeClaim,
  },
  {
    ...base,
    name: 'leader-moves',
    summary:
      'the leader of an output partition moves while outputs are on their way to it, to a broker that has answered already',
    covers: ['leader-move'],
    stack: threeBrokers,
    traffic: { badShare: 0.15 }, // most slices also write dead letters
    mixes: true,
    inject: leaderMoves,
  },
]

/**
 * Outputs are held up on their way to a broker that does not coordinate the transaction, so that the abort is not: it is
 * clean. They arrive when the partition's next transaction has begun.
 */
async function produceAfterAbort(world: FaultWorld, random: Random): Promise<Injected> {
  await pause(random.below(300))
  const seat = await world.victim(random)
  const [partition = 0] = seat.partitions(world.topic)
  const { card, stack } = world
  const input = { topic: world.topic, partition }
  const coordinator = await stack.kafka.transactionCoordinatorOf(
    [card.plan.name, card.plan.kafka.group, input.topic, partition].join(nameSeparator),
  )
  const elsewhere = 1 + (coordinator.id % 3)
  await stack.kafka.moveLeader(card.topics.predictions, partition, elsewhere)
  const { promise: released, resolve: release } = Promise.withResolvers<void>()
  const held = stack.kafka.wire(seat.index, elsewhere).rule({
    on: 'Produce',
    at: 'request',
    where: isOf(partition),
    times: 1,
    action: { kind: 'hold', until: released, overtake: true },
  })
  const passes = async (on: string, where: (request: WireRequest) => boolean): Promise<void> => {
    const seen = world.seats.map((one) => one.onKafka({ on, at: 'reply', where, action: noted }))
    await world.until(`${on} of ${partition} passes`, () => seen.some(({ hits }) => hits > 0))
    for (const one of seen) one.remove()
  }
  try {
    await reached(world, held, `Produce of ${seat.name} passes`)
    const at = now()
    await passes('EndTxn', (request) => isOf(partition)(request) && isCommit(request.bytes) === false)
    await passes('AddPartitionsToTxn', isOf(partition))
    return { what: `Produce of ${seat.name} came after a clean abort`, at, affected: [partition] }
  } finally {
    release()
  }
}

/** The transaction of this partition of the scored topic. */
function isOf(partition: number): (request: { readonly bytes: Buffer }) => boolean {
  return ({ bytes }) => transactionalIdOf(bytes)?.endsWith(`${nameSeparator}${partition}`) === true
}

async function commitBeforeClaim(world: FaultWorld, random: Random): Promise<Injected> {
  await pause(random.below(300))
  const seat = await world.victim(random)
  const { name } = seat
  const { promise: released, resolve: release } = Promise.withResolvers<void>()
  const where = ({ bytes }: { readonly bytes: Buffer }): boolean => isCommit(bytes) === true
  const held = armed(
    seat,
    { server: 'kafka', on: 'EndTxn', at: 'request', where },
    { kind: 'hold', until: released },
    random,
  )
  await reached(world, held, 'a commit is on its way')
  const partition = partitionOf(await held.hit)
  await seat.kill()
  const at = now()
  const run = async (): Promise<void> => {
    release()
    await pause(300) // until the broker has done it
  }
  const claims = world.seats
    .filter((other) => other !== seat)
    .map((other) =>
      other.onKafka({
        on: 'InitProducerId',
        at: 'request',
        where: isOf(partition),
        times: 1,
        action: { kind: 'call', run },
      }),
    )
  await world.until('the partition is claimed', () => claims.some(({ hits }) => hits > 0))
  for (const claim of claims) claim.remove()
  void seat.start()
  return { what: `SIGKILL of ${name}, its commit arrives before the next claim`, at, affected: [partition] }
}

async function leaderMoves(world: FaultWorld, random: Random): Promise<Injected> {
  const seat = await world.victim(random)
  const [partition = 0] = seat.partitions(world.topic)
  const { kafka } = world.stack
  const { predictions, deadLetters } = world.card.topics
  const from = await kafka.leaderOf(predictions, partition)
  const other = 1 + (from.id % 3)
  if ((await kafka.leaderOf(deadLetters, partition)).id !== other)
    await kafka.moveLeader(deadLetters, partition, other)
  const { promise: moved, resolve: release } = Promise.withResolvers<void>()
  const hold = { kind: 'hold', until: moved } as const
  const rule = { on: 'Produce', at: 'request', where: isOf(partition), times: 1, action: hold } as const
  const wire = seat.route.kafka[from.id - 1]
  if (wire === undefined) throw new Error(`no wire to node ${from.id}`)
  await reached(world, wire.rule(rule), 'outputs are on their way')
  const at = now()
  await kafka.moveLeader(predictions, partition, other)
  release()
  return {
    what: `leader of ${predictions}:${partition} from ${from.id} to ${other}`,
    at,
    affected: [partition],
  }
}
