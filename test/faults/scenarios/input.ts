import type { Random } from '../../../src/simulator/random.ts'
import type { InputRecord } from '../../support/service-records.ts'
import { kill } from '../acts.ts'
import type { FaultWorld } from '../fault-world.ts'
import type { Scenario } from '../scenario.ts'
import { oneBroker, smallSlices } from './settings.ts'

const largeBytes = 900_000

/** One of each kind of record that is not as it should be, and some that are only unusual. */
function awkward({ traffic }: FaultWorld): InputRecord[] {
  const dead = (
    becomes: InputRecord['becomes'],
    change: (record: InputRecord) => Partial<InputRecord>,
  ): InputRecord => {
    const record = traffic.one({})
    return { ...record, ...change(record), becomes, event: null }
  }
  const value = (record: InputRecord): string => record.value ?? ''
  const large = traffic.one({})
  const twice = traffic.one({})
  return [
    dead('DECODE', (record) => ({ value: value(record).slice(0, 40) })),
    dead('DECODE', (record) => ({ value: value(record).replace(/"amountCents":\d+/, '"amountCents":NaN') })),
    dead('DECODE', () => ({ value: 'x'.repeat(largeBytes) })),
    dead('VALIDATION', () => ({ key: null })),
    dead('VALIDATION', () => ({ value: null })),
    dead('TIMESTAMP', (record) => ({ value: value(record).replace(/"ts":\d+/, '"ts":-1') })),
    dead('TIMESTAMP', (record) => ({ value: value(record).replace(/"ts":\d+/, '"ts":253402300799999') })),
    { ...large, value: value(large).replace('}', `,"note":"${'n'.repeat(largeBytes)}"}`) },
    twice,
    twice,
  ]
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  return items
    .map((item) => ({ item, place: random.next() }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ item }) => item)
}

export const inputScenarios: readonly Scenario[] = [
  {
    name: 'awkward-records',
    group: 'input',
    summary:
      'cut and bad JSON, NaN, missing key, tombstone, 900 kB, negative and far-future times, duplicate ids, and a SIGKILL among them',
    covers: [
      'input-json',
      'input-nan',
      'input-key',
      'input-tombstone',
      'input-large',
      'input-times',
      'input-duplicates',
    ],
    stack: oneBroker,
    processes: 2,
    topology: smallSlices,
    mixes: true,
    inject: async (world, random) => {
      // One by one: two large ones in one batch would be more than the broker takes.
      for (const record of shuffled(awkward(world), random)) await world.traffic.write([record])
      return kill(world, random, 'awkward records')
    },
  },
]
