import type { LoggedInput } from '../../support/card-world.ts'
import { modelProcessesOf } from '../../support/process-list.ts'
import { kill, now, pause } from '../acts.ts'
import type { Scenario } from '../scenario.ts'
import { oneBroker, smallSlices } from './settings.ts'

const base = { group: 'model', stack: oneBroker, processes: 2 } as const
const features = ['riskTier', 'customer_count_10m', 'customer_count_1h']
/** slow.onnx turns as often as the largest tier of a batch: up to 20 ms. */
const slow = { path: 'slow.onnx', inputs: { features } }
const slowTiers = 20_000
/** lookup.onnx throws for a tier above 3. */
const thrown = 9
const isThrown = ({ event }: LoggedInput): boolean => event?.fields['tier'] === thrown

export const modelScenarios: readonly Scenario[] = [
  {
    ...base,
    name: 'kill-while-scoring',
    group: 'crash',
    summary: 'SIGKILL at a random moment, with a model that runs most of the time',
    covers: ['crash-scoring'],
    processes: 3,
    rate: 100,
    traffic: { tiers: slowTiers },
    topology: { ...smallSlices, model: slow },
    inject: async (world, random) => {
      await pause(random.below(500))
      return kill(world, random, 'most of the time in the model')
    },
  },
  {
    ...base,
    name: 'model-throws',
    summary: 'rows on which the model throws, in every second batch, and a SIGKILL among them',
    covers: ['model-throws'],
    topology: { ...smallSlices, model: { path: 'lookup.onnx', inputs: { features } } },
    check: { poison: isThrown },
    inject: async (world, random) => {
      for (let i = 0; i < 10; i++) {
        await world.traffic.write([world.traffic.one({ tier: thrown })])
        await pause(20)
      }
      return kill(world, random, '10 rows to throw on')
    },
  },
  {
    ...base,
    name: 'model-nan',
    summary: 'a model whose score is NaN or infinite for one row in forty, and a SIGKILL',
    covers: ['model-nan'],
    traffic: { tiers: 40 },
    topology: { ...smallSlices, model: { path: 'log.onnx', inputs: { features } } },
    check: { poison: ({ event }) => event?.fields['tier'] === 0 },
    inject: async (world, random) => {
      await world.traffic.write([world.traffic.one({ tier: 0 })])
      return kill(world, random, 'rows without a score')
    },
  },
  {
    ...base,
    name: 'model-process-killed',
    summary: 'SIGKILL of the process that the model runs in (isolation: process)',
    covers: ['model-worker'],
    rate: 100,
    traffic: { tiers: slowTiers },
    topology: { ...smallSlices, model: { ...slow, isolation: 'process' } },
    inject: async (world, random) => {
      await pause(random.below(500))
      const seat = await world.victim(random)
      const affected = seat.partitions(world.topic)
      const [model] = await modelProcessesOf(seat.process.pid)
      if (model === undefined) throw new Error(`${seat.name} has no process for its model`)
      process.kill(model, 'SIGKILL')
      return { what: `SIGKILL of the model of ${seat.name}`, at: now(), affected }
    },
  },
]
