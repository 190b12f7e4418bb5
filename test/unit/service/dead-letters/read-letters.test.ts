import { expect, test } from 'vitest'
import type { RawRecord } from '../../../../src/record/raw-record.ts'
import { everyDeadLetter, type DeadLetterFilter } from '../../../../src/service/dead-letters/dead-letter.ts'
import type { LogReader } from '../../../../src/service/dead-letters/log-reader.ts'
import { headersOf } from '../../../../src/record/headers.ts'
import { readLetters, refuseLeft } from '../../../../src/service/dead-letters/read-letters.ts'

const never = new AbortController().signal

function rawOf(partition: number, offset: number): RawRecord {
  const headers = headersOf({
    '__dlq.errors.topic': 'in',
    '__dlq.errors.partition': '0',
    '__dlq.errors.offset': String(offset),
    'millrace.dlq.reason': 'SCHEMA',
  })
  return { topic: 'dlq.in', partition, offset, timestamp: 0, key: null, value: null, headers }
}

/** Partitions of three letters each; those in `cut` give one and then nothing more. */
function readerOf(partitions: number, cut: readonly number[] = []): LogReader {
  const range = { start: 0, end: 3 }
  return {
    client: null as never, // not asked without --from
    partitions: Array.from({ length: partitions }, (_, partition) => ({ topic: 'dlq.in', partition, range })),
    read: async ({ partition }, { from, take }) => {
      const end = cut.includes(partition) ? 1 : range.end
      for (let offset = from; offset < end; offset++) {
        if (!(await take([rawOf(partition, offset)]))) return offset + 1
      }
      return end
    },
    close: () => Promise.resolve(),
  }
}

async function read(reader: LogReader, filter: Partial<DeadLetterFilter> = {}, max = Infinity) {
  const seen: string[] = []
  const wanted = { topics: ['dlq.in'], filter: { ...everyDeadLetter, ...filter } }
  const left = await readLetters(reader, wanted, ({ id }) => seen.push(id) < max, never)
  return { seen, left, refuse: () => refuseLeft(left) }
}

test('a partition that is not read to its end does not hold the others, and the command says so at its end', async () => {
  const { seen, refuse } = await read(readerOf(3, [0, 1]))
  expect(seen).toEqual(['dlq.in:0@0', 'dlq.in:1@0', 'dlq.in:2@0', 'dlq.in:2@1', 'dlq.in:2@2'])
  expect(refuse).toThrow(
    expect.objectContaining({
      code: 'KAFKA_READ_INCOMPLETE',
      exitCode: 75,
      message: expect.stringMatching(
        /^2 partitions were not read to their end: dlq\.in:0 \(from offset 1 on, of 3\), dlq\.in:1 .*not known$/,
      ),
    }),
  )
})

test('everything read is nothing to refuse', async () => {
  const { seen, refuse } = await read(readerOf(2))
  expect(seen.length).toBe(6)
  expect(refuse).not.toThrow()
})

test('ids that no letter bears are named at the end, after those that were met', async () => {
  const ids = new Set(['dlq.in:0@1', 'dlq.in:0@7', 'dlq.in:9@0'])
  const { seen, refuse } = await read(readerOf(2), { ids })
  expect(seen).toEqual(['dlq.in:0@1'])
  expect(refuse).toThrow(
    expect.objectContaining({
      code: 'USAGE',
      message: expect.stringContaining('no dead letter dlq.in:0@7, dlq.in:9@0'),
    }),
  )
})

test('a pass that stopped at its limit says nothing of what it did not look for', async () => {
  const { seen, refuse } = await read(readerOf(2), { ids: new Set(['dlq.in:0@1', 'dlq.in:1@9']) }, 1)
  expect(seen).toEqual(['dlq.in:0@1'])
  expect(refuse).not.toThrow()
})
