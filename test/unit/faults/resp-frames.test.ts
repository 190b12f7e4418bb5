import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FramingError } from '../../faults/wire/dialect.ts'
import { redisDialect } from '../../faults/wire/redis-dialect.ts'
import { RespFrames, respArguments } from '../../faults/wire/resp-frames.ts'
import { chunked, cutPoints } from './chunks.ts'

const bytes = fc.uint8Array({ maxLength: 20 }).map((array) => Buffer.from(array))
const bulk = bytes.map((value) =>
  Buffer.concat([Buffer.from(`$${value.length}\r\n`), value, Buffer.from('\r\n')]),
)
const simple = fc.constantFrom(
  '+OK\r\n',
  '-ERR no\r\n',
  ':7\r\n',
  '$-1\r\n',
  '*-1\r\n',
  '*0\r\n',
  '_\r\n',
  ',1.5\r\n',
  '%0\r\n',
)

/** Whole values of RESP2 and 3, aggregates three levels deep. */
const { value } = fc.letrec<{ value: Buffer }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', maxDepth: 3 },
    simple.map((line) => Buffer.from(line)),
    bulk,
    fc
      .tuple(fc.constantFrom('*', '~', '>'), fc.array(tie('value'), { maxLength: 4 }))
      .map(([kind, items]) => Buffer.concat([Buffer.from(`${kind}${items.length}\r\n`), ...items])),
    fc
      .array(fc.tuple(tie('value'), tie('value')), { maxLength: 2 })
      .map((pairs) => Buffer.concat([Buffer.from(`%${pairs.length}\r\n`), ...pairs.flat()])),
    fc
      .tuple(tie('value'), tie('value'), tie('value'))
      .map((parts) => Buffer.concat([Buffer.from('|1\r\n'), ...parts])),
  ),
}))

describe('cutting a stream into values of the Redis protocol', () => {
  test('gives the same values for every chunking, and keeps what is not complete', () => {
    fc.assert(
      fc.property(fc.array(value, { maxLength: 6 }), cutPoints, fc.nat(10), (values, cuts, missing) => {
        const all = Buffer.concat(values)
        const stream = all.subarray(0, Math.max(0, all.length - missing))
        const splitter = new RespFrames()
        const found = chunked(stream, cuts).flatMap((chunk) => splitter.push(chunk))
        expect(found).toEqual(values.slice(0, found.length))
        expect(Buffer.concat([...found, splitter.rest()])).toEqual(stream)
        expect(splitter.rest().length).toBeLessThan((values[found.length] ?? [0]).length)
      }),
    )
  })

  test.each(['*x\r\n', '$-2\r\n', '$99999999999\r\n', `+${'a'.repeat(70_000)}`])('refuses %.20s', (line) => {
    expect(() => new RespFrames().push(Buffer.from(line))).toThrow(FramingError)
  })
})

describe('reading the arguments of a request', () => {
  test('finds them all, of any bytes', () => {
    fc.assert(
      fc.property(fc.array(bytes, { minLength: 1, maxLength: 6 }), (args) => {
        expect(respArguments(command(...args), 10)).toEqual(args)
        expect(respArguments(command(...args), 2)).toEqual(args.slice(0, 2))
      }),
    )
  })

  test('splits an inline command at its spaces', () => {
    expect(respArguments(Buffer.from('GET  key\r\n'), 5).map(String)).toEqual(['GET', 'key'])
  })
})

describe('a conversation with Redis', () => {
  const lua = 'return 1'
  const sha = createHash('sha1').update(lua).digest('hex')
  const dialect = redisDialect(new Map([['millraceFlush', lua]]))

  test('names a script however it is called', () => {
    const named = (...args: string[]): readonly string[] | undefined =>
      dialect.converse().requests(command(...args))[0]?.names
    expect(named('evalsha', sha.toUpperCase(), '0')).toEqual(['millraceFlush', 'EVALSHA'])
    expect(named('EVAL', lua, '0')).toEqual(['millraceFlush', 'EVAL'])
    expect(named('EVAL', 'return 2', '0')).toEqual(['EVAL'])
    expect(named('get', 'k')).toEqual(['GET'])
  })

  test('matches the replies to a pipeline in order, with pushed messages between them', () => {
    const conversation = dialect.converse()
    const pipeline = Buffer.concat([command('GET', 'a'), Buffer.from('\r\n'), command('SET', 'b', '1')])
    for (const request of conversation.requests(pipeline)) conversation.sent(request)
    const replies = conversation.replies(Buffer.from('$1\r\nx\r\n>1\r\n+news\r\n+OK\r\n'))
    expect(replies.map(({ names }) => names)).toEqual([['GET'], [], ['SET']])
    expect(conversation.open).toBe(0)
  })

  test('does not take a script that Redis did not know for one that ran', () => {
    const conversation = dialect.converse()
    for (const request of conversation.requests(command('EVALSHA', sha, '0'))) conversation.sent(request)
    const [reply] = conversation.replies(Buffer.from('-NOSCRIPT No matching script.\r\n'))
    expect(reply?.names).toEqual(['EVALSHA'])
  })

  test('takes nothing for an answer once the client listens', () => {
    const conversation = dialect.converse()
    for (const request of conversation.requests(command('SUBSCRIBE', 'c'))) conversation.sent(request)
    const [reply] = conversation.replies(Buffer.from('*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n'))
    expect(reply?.request).toBeNull()
  })
})

function command(...args: (string | Buffer)[]): Buffer {
  const parts = args.map((arg) => Buffer.from(arg as string))
  const bulks = parts.flatMap((part) => [Buffer.from(`$${part.length}\r\n`), part, Buffer.from('\r\n')])
  return Buffer.concat([Buffer.from(`*${parts.length}\r\n`), ...bulks])
}
