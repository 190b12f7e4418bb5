import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readModelFacts } from '../../../src/onnx/model-file.ts'
import { modelBytes } from '../../support/models.ts'

describe('reading a model file without onnxruntime', () => {
  it('finds no external data in a model that is one file', () => {
    expect(readModelFacts(modelBytes('logistic.onnx'))).toMatchObject({ externalData: [] })
    expect(readModelFacts(modelBytes('slow.onnx'))).toMatchObject({ externalData: [] })
  })

  it('finds the files that hold weights', () => {
    expect(readModelFacts(modelBytes('external.onnx'))).toMatchObject({ externalData: ['external.weights'] })
  })

  it('finds weights kept outside by a node of a sub-graph', () => {
    // entry {location: w} → tensor.external_data → attribute.t → node → graph → attribute.g → node → graph → model
    let message = field(13, bytes(field(1, text('location')), field(2, text('w'))))
    for (const number of [5, 5, 1, 6, 5, 1, 7]) message = field(number, message)
    expect(readModelFacts(message)).toMatchObject({ externalData: ['w'] })
  })

  it('tells versions, producer, operators with their axes, and operators that the model defines itself', () => {
    const softmax = readModelFacts(modelBytes('softmax-over-batch.onnx'))!
    expect(softmax).toMatchObject({ irVersion: 8, producer: 'millrace-tests', halfPrecision: false })
    expect(softmax.opsets).toEqual(new Map([['', 17]]))
    expect(softmax.nodes).toEqual([
      {
        type: 'MatMul',
        domain: '',
        inputs: ['features', 'weights'],
        outputs: ['logit'],
        attributes: new Map(),
      },
      {
        type: 'Softmax',
        domain: '',
        inputs: ['logit'],
        outputs: ['score'],
        attributes: new Map([['axis', [0]]]),
      },
    ])
    const own = bytes(field(1, text('Own')), field(10, text('mine')))
    expect(readModelFacts(bytes(field(7, text('')), field(25, own)))?.functions).toEqual(
      new Set(['mine:Own']),
    )
  })

  it('reads negative numbers, which take ten bytes', () => {
    const minusTwo = Uint8Array.of(0xfe, ...Array.from({ length: 8 }, () => 0xff), 1)
    const axis = bytes(field(1, text('axis')), Uint8Array.of(3 * 8), minusTwo)
    const model = field(7, field(1, field(5, axis)))
    expect(readModelFacts(model)?.nodes[0]?.attributes).toEqual(new Map([['axis', [-2]]]))
  })

  it('notices numbers of 16 bits, in weights and in casts', () => {
    const half = field(5, Uint8Array.of(2 * 8, 10))
    expect(readModelFacts(field(7, half))).toMatchObject({ halfPrecision: true })
    const cast = field(1, field(5, bytes(field(1, text('to')), Uint8Array.of(3 * 8, 16))))
    expect(readModelFacts(field(7, cast))).toMatchObject({ halfPrecision: true })
  })

  it.each([
    ['an empty file', new Uint8Array(0)],
    ['text', text('hello, this is no model')],
    ['JSON', text('{"a": 1}')],
    ['a model cut short', modelBytes('logistic.onnx').subarray(0, 200)],
    ['another protocol buffer', field(3, text('something'))],
    ['a length beyond the end', Uint8Array.of(0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f)],
    ['a number without an end', new Uint8Array(20).fill(0xff)],
  ])('says that %s is no model', (_, content) => {
    expect(readModelFacts(content)).toBeNull()
  })

  it('neither throws nor hangs on any bytes', () => {
    const damaged = fc
      .tuple(fc.nat(), fc.nat(255))
      .map(([at, value]) => modelBytes('slow.onnx').map((byte, i) => (i === at % 400 ? value : byte)))
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), damaged), (content) => {
        readModelFacts(content)
      }),
    )
  })

  it('does not follow sub-graphs without end', () => {
    let message = field(1, new Uint8Array(0))
    for (let depth = 0; depth < 300; depth++) message = field(1, field(5, field(6, message)))
    expect(readModelFacts(field(7, message))).toBeNull()
  })
})

/** A field with a length: tag, length, content. */
function field(number: number, content: Uint8Array): Uint8Array {
  return bytes(varint(number * 8 + 2), varint(content.length), content)
}

function varint(value: number): Uint8Array {
  const out: number[] = []
  let rest = value
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) out.push((rest % 0x80) + 0x80)
  return Uint8Array.of(...out, rest)
}

function text(value: string): Uint8Array {
  return new Uint8Array(Buffer.from(value))
}

function bytes(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}
