import type { Written } from '../support/service-topology.ts'
import type { TrafficOptions } from '../support/service-records.ts'
import type { Random } from '../../src/simulator/random.ts'
import type { CheckOptions } from '../support/evidence.ts'
import type { FaultWorld } from './fault-world.ts'

export const groups = [
  'crash',
  'zombie',
  'network',
  'rebalance',
  'broker',
  'redis',
  'log',
  'time',
  'input',
  'model',
  'mix',
] as const
export type Group = (typeof groups)[number]

/** The servers that a scenario needs; scenarios of one stack share its brokers. */
export interface StackKind {
  readonly nodes: 1 | 3
  readonly redis: 'standalone' | 'sentinel' | 'cluster'
}

/** What happened in one round, and from when recovery counts. */
export interface Injected {
  /** For people: "SIGKILL of service-2 in EndTxn". */
  readonly what: string
  /** Monotonic ms: recovery is measured from here. */
  readonly at: number
  /** Partitions of the scored topic that must make progress again; all when left out. */
  readonly affected?: readonly number[]
  /** What must be so, besides commits, before recovery is complete; asked until it is. */
  readonly mended?: () => Promise<boolean>
  /** Puts right what the fault left broken, after recovery was measured. */
  readonly heal?: () => Promise<void>
}

/** A named fault on real processes, done again and again under steady traffic. */
export interface Scenario {
  readonly name: string
  readonly group: Group
  /** One line for the report. */
  readonly summary: string
  /** Ids of test/faults/coverage.ts that this shows. */
  readonly covers: readonly string[]
  readonly stack: StackKind
  readonly processes: number
  /** Of the scored topic. Default 4. */
  readonly partitions?: number
  /** Default 5: several seeds add up. */
  readonly rounds?: number
  /** Records per second. Default 300. */
  readonly rate?: number
  readonly traffic?: Partial<TrafficOptions>
  /** Laid over the card topology. */
  readonly topology?: Written
  /** Partitions without steady traffic. */
  readonly idle?: readonly number[]
  /** Every seat's process has its instance name. */
  readonly named?: boolean
  readonly check?: CheckOptions
  /** Exit codes that processes may end with by themselves; they are started again. Default none. */
  readonly exits?: readonly number[]
  /** May be drawn in a random mix, on a world of the same stack with three processes. */
  readonly mixes?: boolean
  /** Once, when all partitions are served. */
  readonly prepare?: (world: FaultWorld, random: Random) => Promise<void>
  readonly inject: (world: FaultWorld, random: Random, round: number) => Promise<Injected>
}

/** In which a namespace keeps its entities there. */
export function bucketsOf({ redis }: StackKind): number {
  return redis === 'cluster' ? 64 : 1
}

export function stackName({ nodes, redis }: StackKind): string {
  return `${nodes} broker${nodes === 1 ? '' : 's'}, Redis ${redis}`
}
