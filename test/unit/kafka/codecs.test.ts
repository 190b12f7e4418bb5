import fc from 'fast-check'
import snappy from 'snappyjs'
import { expect, test } from 'vitest'
import { codecs, registerCodecs } from '../../../src/kafka/codecs.ts'
import { measureFrame } from '../../../src/kafka/wire/read-lz4.ts'
import { readSnappy } from '../../../src/kafka/wire/read-snappy.ts'
import { Unreadable } from '../../../src/kafka/wire/unreadable.ts'

const names = Object.keys(codecs) as (keyof typeof codecs)[]

test.each(names)('%s gives back what it was given', async (name) => {
  const { compress, decompress } = codecs[name]
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 5_000 }), async (bytes) => {
      const buffer = Buffer.from(bytes)
      expect(Buffer.compare(await decompress(await compress({ buffer })), buffer)).toBe(0)
    }),
    { numRuns: 25 },
  )
})

/** As snappy-java writes it. */
function xerial(blocks: readonly Buffer[]): Buffer {
  const header = Buffer.concat([
    Buffer.from([0x82]),
    Buffer.from('SNAPPY\0'),
    Buffer.from([0, 0, 0, 1, 0, 0, 0, 1]),
  ])
  const framed = blocks.flatMap((block) => {
    const compressed = snappy.compress(block)
    const length = Buffer.alloc(4)
    length.writeInt32BE(compressed.length)
    return [length, compressed]
  })
  return Buffer.concat([header, ...framed])
}

test('snappy in the framing of Java clients is read, block by block', () => {
  const blocks = [Buffer.from('a'.repeat(40_000)), Buffer.from('b'), Buffer.from('c'.repeat(9))]
  expect(readSnappy(xerial(blocks), 50_000).toString()).toBe(Buffer.concat(blocks).toString())
})

test.each(names)(
  'a %s batch that grows to its bound is read, by one byte beyond it refused',
  async (name) => {
    const { compress, decompress } = codecs[name]
    const bomb = await compress({ buffer: Buffer.alloc(3_000_000) })
    expect((await decompress(bomb, 3_000_000)).length).toBe(3_000_000)
    await expect(decompress(bomb, 2_999_999)).rejects.toMatchObject({ unreadable: 'too-large' })
  },
)

test('what LZ4 grows to is known without growing it, also when 1.6 MB ask for 419', async () => {
  const bomb = await codecs.lz4.compress({ buffer: Buffer.alloc(419_000_000) })
  expect(bomb.length).toBeLessThan(1_700_000)
  const before = process.memoryUsage().rss
  await expect(codecs.lz4.decompress(bomb)).rejects.toMatchObject({ unreadable: 'too-large' })
  expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024)
})

test('snappy data that lies about its length gets no memory, and lengths below zero do not turn it back', () => {
  const lie = Buffer.from([0xff, 0xff, 0xff, 0x3f, 0x00, 0x61]) // 134 million bytes in two
  expect(() => readSnappy(lie, 2 ** 28)).toThrow(Unreadable)
  const backwards = Buffer.from([0x10, 0xfc, 0x00, 0xff, 0xff, 0xff, 0x61])
  expect(() => readSnappy(backwards, 2 ** 28)).toThrow(Unreadable)
  const short = Buffer.from([0x02, 0x00, 0x61]) // says two bytes, holds one
  expect(() => readSnappy(short, 2 ** 28)).toThrow(Unreadable)
})

test.each(names)('damaged %s data is refused as such, or read within the bound', async (name) => {
  const { compress, decompress } = codecs[name]
  const bytesMax = 20_000
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ minLength: 1, maxLength: 300 }),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      fc.nat(20),
      async (bytes, flips, cut) => {
        const damaged = Buffer.from(await compress({ buffer: Buffer.concat([bytes, bytes, bytes]) }))
        for (const [at, to] of flips) damaged[at % damaged.length] = to
        const read = await decompress(damaged.subarray(0, damaged.length - cut), bytesMax).catch(
          (error: unknown) => error,
        )
        expect(read instanceof Unreadable || (read as Buffer).length <= bytesMax).toBe(true)
      },
    ),
    { numRuns: 200 },
  )
})

test('every length that the LZ4 walk finds is what the library writes', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.uint8Array({ maxLength: 40 }), fc.integer({ min: 1, max: 3_000 })), {
        maxLength: 8,
      }),
      async (pieces) => {
        const buffer = Buffer.concat(
          pieces.flatMap(([bytes, times]) => Array.from({ length: times }, () => bytes)),
        )
        const framed = await codecs.lz4.compress({ buffer })
        expect(measureFrame(framed, 1e9)).toEqual({ end: framed.length, bytes: buffer.length })
      },
    ),
    { numRuns: 50 },
  )
})

test('all four are registered under the numbers of the record batch format', () => {
  const registry: Record<number, () => unknown> = {}
  registerCodecs(registry)
  expect(Object.entries(registry).map(([id, codec]) => [Number(id), codec()])).toEqual([
    [1, codecs.gzip],
    [2, codecs.snappy],
    [3, codecs.lz4],
    [4, codecs.zstd],
  ])
})
