// What it costs to turn the outputs of a slice into a Produce request, with the encoder of kafkajs and with ours, in
// turns. Prints one JSON object: µs of processor time and bytes allocated per record, medians of the rounds.
//
//   node --expose-gc --min-semi-space-size=128 --max-semi-space-size=256 bench/micro/encode.ts [records per slice] [rounds]
import { createRequire } from 'node:module'
import '../../src/kafka/kafkajs.ts'
import { BufferPool } from '../../src/kafka/wire/buffer-pool.ts'
import { HeaderBytes } from '../../src/kafka/wire/encode-record-batch.ts'
import { GrowingBuffer } from '../../src/kafka/wire/growing-buffer.ts'
import { outputBatches } from '../../src/kafka/wire/output-batches.ts'
import { encodeProduce } from '../../src/kafka/wire/produce.ts'
import type { OutputRecord } from '../../src/record/output.ts'

const require = createRequire(import.meta.url)
const recordsPerSlice = Number(process.argv[2] ?? 500)
const rounds = Number(process.argv[3] ?? 9)
const slicesPerRound = Math.ceil(20_000 / recordsPerSlice)
const gc = globalThis.gc
if (gc === undefined) throw new Error('run with --expose-gc')

const headers = Object.freeze(
  Object.entries({
    'millrace.model.name': Buffer.from('bench'),
    'millrace.model.version': Buffer.from('1'),
    'millrace.model.digest': Buffer.from('c0ffee'.repeat(10)),
  }),
)
const value = JSON.stringify({
  id: 'x'.repeat(36),
  score: 0.123456789,
  features: Array(16).fill(12.5),
  filler: 'y'.repeat(150),
})
const outputs: readonly OutputRecord[] = Array.from({ length: recordsPerSlice }, (_, index) => ({
  kind: index % 50 === 0 ? 'alert' : 'prediction',
  topic: index % 50 === 0 ? 'alerts' : 'predictions',
  partition: 1,
  key: Buffer.from(`customer-${index % 97}`),
  value,
  headers,
}))
const identity = { transactionalId: 'bench|group|input|1', producerEpoch: 3 }

const buffers = new BufferPool()
const headerBytes = new HeaderBytes()
async function ours(): Promise<number> {
  const buffer = new GrowingBuffer(buffers.take())
  for (const batches of outputBatches(outputs, 1_048_588, headerBytes)) {
    const sequenced = batches.map((batch) => ({ ...batch, sequence: 7 }))
    const head = {
      ...identity,
      producerId: 9n,
      timeoutMs: 500,
      timestampMs: 1_700_000_000_000,
      compression: 'none',
    } as const
    await encodeProduce(buffer, sequenced, head, headerBytes)
  }
  buffers.give(buffer.bytes)
  return buffer.at
}

const group = require('kafkajs/src/producer/groupMessagesPerPartition') as (
  of: object,
) => Record<string, object[]>
const request = require('kafkajs/src/protocol/requests/produce/v7/request') as (of: object) => object
const frame = require('kafkajs/src/protocol/request') as (of: object) => Promise<{ readonly buffer: Buffer }>
/** What its producer does with a send, between the call and the socket. */
async function theirs(): Promise<number> {
  const byTopic = Map.groupBy(outputs, ({ topic }) => topic)
  const topicData = [...byTopic].map(([topic, records]) => {
    const messages = records.map((record) => ({ ...record }))
    const partitioner = ({ message }: { message: { partition: number } }): number => message.partition
    const grouped = group({ topic, partitionMetadata: [{}], messages, partitioner })
    const partitions = Object.entries(grouped).map(([partition, of]) => ({
      partition: Number(partition),
      firstSequence: 7,
      messages: of,
    }))
    return { topic, partitions }
  })
  const produce = request({ acks: -1, timeout: 500, ...identity, producerId: '9', compression: 0, topicData })
  const { buffer } = await frame({ request: produce, correlationId: 1, clientId: 'bench' })
  return buffer.length
}

interface Cost {
  readonly cpuUs: number
  readonly heapBytes: number
  readonly bufferBytes: number
}

async function measure(encode: () => Promise<number>): Promise<Cost> {
  gc?.()
  const cpu = process.cpuUsage()
  for (let slice = 0; slice < slicesPerRound; slice++) await encode()
  const { user, system } = process.cpuUsage(cpu)
  gc?.()
  // One slice is so short that nothing is collected meanwhile.
  const before = process.memoryUsage()
  await encode()
  const after = process.memoryUsage()
  return {
    cpuUs: (user + system) / (slicesPerRound * recordsPerSlice),
    heapBytes: (after.heapUsed - before.heapUsed) / recordsPerSlice,
    bufferBytes: (after.arrayBuffers - before.arrayBuffers) / recordsPerSlice,
  }
}

function median(costs: readonly Cost[]): Cost {
  const middle = (of: (cost: Cost) => number): number => {
    return Math.round(100 * costs.map(of).toSorted((a, b) => a - b)[costs.length >> 1]!) / 100
  }
  return {
    cpuUs: middle(({ cpuUs }) => cpuUs),
    heapBytes: middle(({ heapBytes }) => heapBytes),
    bufferBytes: middle(({ bufferBytes }) => bufferBytes),
  }
}

const costs = { kafkajs: [] as Cost[], ours: [] as Cost[] }
for (let round = 0; round <= rounds; round++) {
  const [theirCost, ourCost] = [await measure(theirs), await measure(ours)]
  if (round === 0) continue // warms up
  costs.kafkajs.push(theirCost)
  costs.ours.push(ourCost)
}
const result = {
  recordsPerSlice,
  requestBytes: await ours(),
  perRecord: { kafkajs: median(costs.kafkajs), ours: median(costs.ours) },
}
process.stdout.write(`${JSON.stringify(result)}\n`)
