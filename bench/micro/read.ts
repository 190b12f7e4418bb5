/**
 * What reading one fetch response costs per event, by the reader of kafkajs and by ours, in turns: `node --expose-gc
 * bench/micro/read.ts [--rounds 12] [--records 50000] [--compression none]`. Records as those of bench/topology.yaml: key of
 * 8 bytes, JSON of about 200, two headers; ours once up to the columns, and once up to records as the pipeline takes them.
 *
 * Prints one value of JSON: per reader the median CPU time (user and system) in µs and the bytes that the heap grew by
 * per event (less than was allocated where the collector ran meanwhile: take --records 5000 to compare them).
 */
import { createRequire } from 'node:module'
import { parseArgs } from 'node:util'
import { compressions, registerCodecs } from '../../src/kafka/codecs.ts'
import { readFetched } from '../../src/kafka/fetched.ts'
import { framesOf } from '../../src/kafka/wire/read-frames.ts'
import { openFrame } from '../../src/kafka/wire/read-records.ts'
import { createColumns } from '../../src/kafka/wire/record-columns.ts'
import { recordBatch, type WireRecord } from '../../test/support/record-batches.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '12' },
    records: { type: 'string', default: '50000' },
    compression: { type: 'string', default: 'none' },
  },
})
const rounds = Number(values.rounds)
const count = Number(values.records)
const compression = compressions.find((name) => name === values.compression) ?? 'none'
const batchRecords = 500

const load = createRequire(import.meta.url)
const kafkajs = 'kafkajs/src'
const Decoder = load(`${kafkajs}/protocol/decoder`) as new (bytes: Buffer) => object
const decodeMessages = load(`${kafkajs}/protocol/requests/fetch/v4/decodeMessages`) as (
  decoder: object,
) => Promise<unknown[]>
const Batch = load(`${kafkajs}/consumer/batch`) as new (
  topic: string,
  from: string,
  data: object,
) => { readonly messages: readonly { readonly offset: string; readonly timestamp: string }[] }
registerCodecs(
  (load(`${kafkajs}/protocol/message/compression`) as { Codecs: Record<number, unknown> }).Codecs,
)

const bytes = await log()
const sized = Buffer.alloc(4 + bytes.length)
sized.writeInt32BE(bytes.length)
bytes.copy(sized, 4)
const columns = createColumns(256)

const readers: Readonly<Record<string, () => Promise<number>>> = {
  kafkajs: async () => {
    const messages = await decodeMessages(new Decoder(sized))
    const batch = new Batch('t', '0', { partition: 0, highWatermark: '0', abortedTransactions: [], messages })
    // As the source did: numbers for offset and timestamp.
    return batch.messages.map((message) => ({
      ...message,
      offset: Number(message.offset),
      timestamp: Number(message.timestamp),
    })).length
  },
  columns: async () => {
    let rows = 0
    for (const frame of framesOf(bytes)) {
      const opened = openFrame(bytes, frame, 1e9)
      const reader = opened instanceof Promise ? await opened : opened
      while (reader.left > 0) {
        reader.read(columns, 0)
        rows += columns.length
      }
    }
    return rows
  },
  records: async () => {
    const { records } = await readFetched({ topic: 't', partition: 0 }, { bytes, aborted: null }, 0)
    return records.length
  },
}

const runs: Record<string, { cpuUs: number; bytes: number }[]> = {}
for (let round = -3; round < rounds; round++) {
  for (const [name, read] of Object.entries(readers)) {
    globalThis.gc?.()
    const heap = process.memoryUsage().heapUsed
    const before = process.cpuUsage()
    const rows = await read()
    const { user, system } = process.cpuUsage(before)
    const allocated = process.memoryUsage().heapUsed - heap
    if (rows !== count) throw new Error(`${name} read ${rows} of ${count} records`)
    if (round >= 0) (runs[name] ??= []).push({ cpuUs: (user + system) / count, bytes: allocated / count })
  }
}

const readings = Object.entries(runs).map(([name, all]) => {
  const cpuUs = median(all.map((run) => run.cpuUs))
  return [name, { cpuUs: round3(cpuUs), bytes: Math.round(median(all.map((run) => run.bytes))) }] as const
})
const { kafkajs: published, records } = Object.fromEntries(readings)
const ratio = published && records ? round3(records.cpuUs / published.cpuUs) : null
const settings = {
  rounds,
  records: count,
  compression,
  node: process.version,
  gc: globalThis.gc !== undefined,
}
process.stdout.write(
  `${JSON.stringify({ bench: 'read', settings, perEvent: Object.fromEntries(readings), recordsToKafkajs: ratio })}\n`,
)

async function log(): Promise<Buffer> {
  const headers = [
    ['traceparent', Buffer.from('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01')],
    ['source', Buffer.from('bench')],
  ] as const
  const all = Array.from({ length: count }, (_, offset): WireRecord => {
    const card = `c${String(offset % 5_000).padStart(7, '0')}`
    const event = {
      id: `tx-${offset}`,
      card,
      terminal: `t${offset % 900}`,
      amount: offset % 977,
      currency: 'EUR',
    }
    const value = JSON.stringify({
      ...event,
      ts: 1_752_000_000_000 + offset,
      merchant: 'm'.repeat(60),
      tier: 2,
    })
    return {
      offset,
      timestamp: 1_752_000_000_000 + offset,
      key: Buffer.from(card),
      value: Buffer.from(value),
      headers,
    }
  })
  const parts: Buffer[] = []
  for (let at = 0; at < count; at += batchRecords) {
    parts.push(await recordBatch(all.slice(at, at + batchRecords), { compression }))
  }
  return Buffer.concat(parts)
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? NaN
}

function round3(value: number): number {
  return Math.round(value * 1_000) / 1_000
}
