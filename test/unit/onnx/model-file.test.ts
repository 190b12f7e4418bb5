import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readModelFacts } from '../../../src/onnx/model-file.ts'
import { modelBytes } from '../../support/models.ts'

describe('reading a model file without onnxruntime', () => {
  it('finds no external data in a model that is one file', () => {
    expect(readModelFacts(modelBytes('logistic.onnx'))).toEqual({ externalData: [] })
    expect(readModelFacts(modelBytes('slow.onnx'))).toEqual({ externalData: [] })
  })

  it('finds the files that hold weights', () => {
    expect(readModelFacts(modelBytes('external.onnx'))).toEqual({ externalData: ['external.weights'] })
  })

  it('finds weights kept outside by a node of a sub-graph', () => {
    // entry {location: w} → tensor.external_data → attribute.t → node → graph → attribute.g → node → graph → model
    let message = field(13, bytes(field(1, text('location')), field(2, text('w'))))
    for (const number of [5, 5, 1, 6, 5, 1, 7]) message = field(number, message)
    expect(readModelFacts(message)).toEqual({ externalData: ['w'] })
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
