import { MemoryStore } from '../../src/features/memory-store.ts'
import { inputName } from '../../src/record/input.ts'
import { rawRecord } from './feed.ts'
import { inputs, planOf, type Settings } from './topology.ts'

/** The one input of the small world. */
export const input = inputs[0]!
export const name = inputName(input)

export const settings: Settings = {
  inputs: [input],
  merged: false,
  buckets: 2,
  late: 'score',
  start: 'earliest',
  onForeignOffset: 'refuse',
  onLogGone: 'refuse',
  cacheMaxBytes: 1e9,
  rowsPerTransactionMax: 1,
  unflushedRowsMax: 10_000,
  unflushedAgeMaxMs: 1e9,
  outageMaxMs: 1e9,
  alignMs: 0,
  terminalDelayMs: 0,
  appends: true,
  orderedReplies: false,
  reasons: false,
  unorderedLabels: false,
  transactionTimeoutMs: 600_000,
  topicIds: false,
  killer: false,
  lullMs: 0,
  troubles: [],
}

/** Customers by letter: X and Z share a bucket, Y lies in the other. */
export const customers = customersOf()

function customersOf(): ReadonlyMap<string, string> {
  const { features } = planOf(settings)
  const store = new MemoryStore(features.layouts, settings.buckets)
  const layout = features.layouts[0]!
  const bucketOf = (customer: string): number => {
    const raw = rawRecord(input, 0, 0, '')
    const event = { id: '', key: customer, time: 0, fields: { customer }, raw }
    return store.bucketOf(features.entityKey(layout, event) ?? '')
  }
  const names = Array.from({ length: 10 }, (_, i) => `c${i}`)
  const [x = '', z = ''] = names.filter((customer) => bucketOf(customer) === 0)
  const y = names.find((customer) => bucketOf(customer) === 1) ?? ''
  return new Map([
    ['X', x],
    ['Y', y],
    ['Z', z],
  ])
}
