import { armed, now, pause, reached } from '../acts.ts'
import type { FaultWorld } from '../fault-world.ts'
import type { Injected, Scenario } from '../scenario.ts'
import type { KafkaNode } from '../servers/kafka-cluster.ts'
import type { Random } from '../../../src/simulator/random.ts'
import { transactionalIdOf } from '../../../src/commit/kafka-transaction.ts'
import { isCommit } from '../wire/kafka-requests.ts'
import { oneBroker, smallSlices, threeBrokers } from './settings.ts'

const base = { group: 'broker', processes: 2 } as const

type Choice = (world: FaultWorld, random: Random) => Promise<KafkaNode>

const only: Choice = async ({ stack }) => stack.kafka.node(1)
const leader: Choice = ({ stack, topic }, random) => stack.kafka.leaderOf(topic, random.below(4))
const groupCoordinator: Choice = ({ stack, card }) => stack.kafka.coordinatorOf(card.plan.kafka.group)
const transactionCoordinator: Choice = ({ stack, card, topic }, random) => {
  const input = { source: 'transactions', topic, partition: random.below(4) }
  return stack.kafka.transactionCoordinatorOf(transactionalIdOf(card.plan.name, card.plan.kafka.group, input))
}

function bounce(
  name: string,
  summary: string,
  id: string,
  nodes: 1 | 3,
  how: 'kill' | 'stop',
  choose: Choice,
): Scenario {
  return {
    ...base,
    // Slices of the usual size, where three brokers share two cores: what waited is then worked off at the usual pace.
    ...(nodes === 1 ? { topology: smallSlices } : {}),
    name,
    summary,
    covers: [id],
    stack: nodes === 1 ? oneBroker : threeBrokers,
    inject: async (world, random) => {
      await pause(random.below(300))
      const node = await choose(world, random)
      const at = now()
      await node[how]()
      if (nodes === 1) await node.start()
      return {
        what: `node ${node.id}: ${how === 'kill' ? 'SIGKILL' : 'SIGTERM'}`,
        at,
        heal: async () => {
          await node.start()
          await world.stack.kafka.untilHealthy()
        },
      }
    },
  }
}

async function killedInCommit(world: FaultWorld, random: Random): Promise<Injected> {
  await pause(random.below(300))
  const seat = await world.victim(random)
  const node = world.stack.kafka.node(1)
  let at = 0
  let killed = Promise.resolve()
  const run = (): void => {
    at = now()
    killed = node.kill()
  }
  const acknowledged = armed(
    seat,
    { server: 'kafka', on: 'EndTxn', at: 'reply', where: ({ bytes }) => isCommit(bytes) === true },
    { kind: 'call', run },
    random,
  )
  await reached(world, acknowledged, 'a commit is acknowledged')
  await killed
  await node.start()
  return {
    what: `SIGKILL of the broker as it acknowledged a commit of ${seat.name}`,
    at,
    heal: () => world.stack.kafka.untilHealthy(),
  }
}

export const brokerScenarios: readonly Scenario[] = [
  bounce('broker-kill', 'SIGKILL of the only broker, which comes back', 'broker-one', 1, 'kill', only),
  bounce('broker-bounce', 'the only broker is stopped and started', 'broker-one', 1, 'stop', only),
  {
    ...base,
    topology: smallSlices,
    name: 'broker-kill-in-commit',
    summary:
      'SIGKILL of the only broker as it acknowledges a commit, mostly before it has written the markers',
    covers: ['broker-one'],
    stack: oneBroker,
    inject: killedInCommit,
  },
  {
    ...base,
    topology: smallSlices,
    name: 'broker-stall',
    summary: 'the only broker stands still (SIGSTOP) for 1 to 5 s',
    covers: ['broker-stall'],
    stack: oneBroker,
    mixes: true,
    inject: async (world, random) => {
      const node = world.stack.kafka.node(1)
      const ms = 1_000 + random.below(4_000)
      node.pause()
      await pause(ms)
      node.resume()
      return { what: `the broker stood still for ${ms} ms`, at: now() }
    },
  },
  bounce('leader-kill', 'SIGKILL of the leader of a source partition', 'broker-leader', 3, 'kill', leader),
  bounce(
    'leader-bounce',
    'the leader of a source partition is stopped and started',
    'broker-leader',
    3,
    'stop',
    leader,
  ),
  bounce(
    'coordinator-kill',
    "SIGKILL of the group's coordinator",
    'broker-coordinator',
    3,
    'kill',
    groupCoordinator,
  ),
  bounce(
    'coordinator-bounce',
    "the group's coordinator is stopped and started",
    'broker-coordinator',
    3,
    'stop',
    groupCoordinator,
  ),
  bounce(
    'transaction-coordinator-kill',
    "SIGKILL of a partition's transaction coordinator",
    'broker-coordinator',
    3,
    'kill',
    transactionCoordinator,
  ),
  bounce(
    'transaction-coordinator-bounce',
    "a partition's transaction coordinator is stopped and started",
    'broker-coordinator',
    3,
    'stop',
    transactionCoordinator,
  ),
]
