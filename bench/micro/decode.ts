/**
 * What decoding an event of the bench topology costs, by the parser and by the scanner, in turns:
 * `node bench/micro/decode.ts [--events 100000] [--rounds 15]`. Prints one line of JSON: medians of CPU us per event and of
 * bytes allocated per event, and the ratio of the CPU times of a round.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { parseArgs } from 'node:util'
import { createDecoder, type Decoder } from '../../src/decode/decoder.ts'
import { isReject } from '../../src/record/event.ts'
import type { RawRecord } from '../../src/record/raw-record.ts'
import { manualClock } from '../../src/time/manual-clock.ts'
import { loadTopology } from '../../src/topology/load.ts'

const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '15' },
  },
})
/** Few enough that no collection falls between two looks at the heap. */
const allocatingEvents = 2_000

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const { sources } = await loadTopology('bench/topology.yaml', {}, { model: 'optional' })
const source = sources[0]!
const decoders = {
  parser: createDecoder({ ...source, fieldsRead: null }, null, manualClock()),
  scanner: createDecoder(source, null, manualClock()),
}
type Way = keyof typeof decoders
const ways = Object.keys(decoders) as Way[]
const records = made(Number(values.events))
const cpuUs: Record<Way, number[]> = { parser: [], scanner: [] }
const bytes: Record<Way, number[]> = { parser: [], scanner: [] }
for (const way of ways) cpuOf(decoders[way])
for (let round = 0; round < Number(values.rounds); round++) {
  for (const way of round % 2 === 0 ? ways : ways.toReversed()) {
    cpuUs[way].push(cpuOf(decoders[way]))
    bytes[way].push(bytesOf(decoders[way]))
  }
}
console.log(
  JSON.stringify({
    what: 'decode',
    events: records.length,
    rounds: Number(values.rounds),
    cpuUs: { parser: rounded(median(cpuUs.parser)), scanner: rounded(median(cpuUs.scanner)) },
    bytes: { parser: Math.round(median(bytes.parser)), scanner: Math.round(median(bytes.scanner)) },
    cpuRatio: rounded(median(cpuUs.scanner.map((us, round) => us / cpuUs.parser[round]!))),
  }),
)

function cpuOf(decoder: Decoder): number {
  const before = process.cpuUsage()
  decodeAll(decoder, records)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / records.length
}

function bytesOf(decoder: Decoder): number {
  const few = records.slice(0, allocatingEvents)
  collect()
  const before = process.memoryUsage().heapUsed
  decodeAll(decoder, few)
  return (process.memoryUsage().heapUsed - before) / few.length
}

function decodeAll(decoder: Decoder, all: readonly RawRecord[]): void {
  let times = 0
  for (const record of all) {
    const decoded = decoder.decode(record)
    if (isReject(decoded)) throw new Error(decoded.message)
    times += decoded.time
  }
  if (times <= 0) throw new Error('no times')
}

function made(count: number): readonly RawRecord[] {
  const firstTime = Date.UTC(2026, 0, 1)
  return Array.from({ length: count }, (_, i) => {
    const customer = `c${String((i * 7_919) % 5_000).padStart(5, '0')}`
    const event = {
      id: `tx-${String(i).padStart(8, '0')}`,
      customer,
      terminal: `t${String((i * 31) % 10_000).padStart(5, '0')}`,
      amountCents: (i * 37) % 20_000,
      ts: firstTime + i * 900,
    }
    return {
      topic: 'in',
      partition: 0,
      offset: i,
      timestamp: event.ts,
      key: Buffer.from(customer),
      value: Buffer.from(JSON.stringify(event)),
      headers: [],
    }
  })
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000
}
