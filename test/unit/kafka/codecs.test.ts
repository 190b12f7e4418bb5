import fc from 'fast-check'
import snappy from 'snappyjs'
import { expect, test } from 'vitest'
import { codecs, decompressSnappy, decompressedBytesMax, registerCodecs } from '../../../src/kafka/codecs.ts'

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
  expect(decompressSnappy(xerial(blocks)).toString()).toBe(Buffer.concat(blocks).toString())
})

test.each(['gzip', 'zstd'] as const)('a %s batch that grows beyond the bound is refused', async (name) => {
  const { compress, decompress } = codecs[name]
  const bomb = await compress({ buffer: Buffer.alloc(decompressedBytesMax + 1) })
  await expect(decompress(bomb)).rejects.toThrow()
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
