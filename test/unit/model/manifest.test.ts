import { describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { parseBaseline, parseGolden, parseManifest } from '../../../src/model/manifest.ts'
import { linearBaseline, linearGolden, linearManifest } from '../../support/models.ts'

const manifest = (change: Record<string, unknown>): string => stringify({ ...linearManifest, ...change })
const invalid = (text: string) => ({
  code: 'MODEL_INVALID',
  message: expect.stringContaining(text) as string,
})
const external = (path: string) => ({ externalData: [{ path, digest: `sha256:${'a'.repeat(64)}` }] })

describe('a manifest', () => {
  it('is read with empty places for what it leaves out', () => {
    expect(parseManifest(manifest({}), 'manifest.yaml')).toEqual({
      ...linearManifest,
      thresholds: {},
      externalData: [],
      training: {},
      metrics: {},
    })
  })

  it('keeps training data and metrics as they are', () => {
    const free = { training: { rows: 5, from: 'a' }, metrics: { auc: 0.9, deep: { k: [1] } } }
    expect(parseManifest(manifest(free), 'manifest.yaml')).toMatchObject(free)
  })

  it('takes a whole number as version and keeps text as text', () => {
    expect(parseManifest(manifest({ version: 4 }), 'm').version).toBe('4')
    expect(parseManifest(manifest({ version: '1.10' }), 'm').version).toBe('1.10')
  })

  it.each([
    ['an unknown key', { vectorhash: 'x' }, 'vectorhash'],
    ['an unknown key of an input', { inputs: [{ ...linearManifest.inputs[0], order: 1 }] }, 'order'],
    ['a missing vector hash', { vectorHash: undefined }, 'vectorHash'],
    [
      'an input type that is not fed',
      { inputs: [{ ...linearManifest.inputs[0], type: 'int64' }] },
      'inputs[0].type',
    ],
    ['a version that YAML reads as a fraction', { version: 1.1 }, 'version'],
    ['a digest that is none', { digest: 'sha256:12' }, 'digest'],
    [
      'a range that ends before it begins',
      withFeature({ name: 'a', range: [2, 1] }),
      'inputs[0].features[0].range',
    ],
    ['a feature listed twice', withFeature({ name: 'amount' }, { name: 'amount' }), 'amount is listed twice'],
    ['an infinite missing value', withFeature({ name: 'a', missing: Infinity }), 'missing'],
    ['external data outside its folder', external('../weights'), 'must stay inside'],
    ['external data at an absolute path', external('/etc/weights'), 'must be relative'],
    ['a column below 0', { score: { output: 'p', column: -1 } }, 'score.column'],
  ])('is refused with %s, naming file and place', (_, change, place) => {
    const parsing = (): unknown => parseManifest(manifest(change), 'models/x/manifest.yaml')
    expect(parsing).toThrow(expect.objectContaining(invalid(place)))
    expect(parsing).toThrow(/^models\/x\/manifest\.yaml/)
  })

  it('lists all its problems at once', () => {
    const parsing = (): unknown => parseManifest(manifest({ name: '', extra: 1, vectorHash: 5 }), 'm')
    expect(parsing).toThrow(/name: .*vectorHash: .*extra/)
  })

  it('is refused when it is not YAML', () => {
    expect(() => parseManifest('a: [', 'm')).toThrow(expect.objectContaining(invalid('m cannot be read')))
  })
})

describe('golden.json and baseline.json', () => {
  it('are read', () => {
    expect(parseGolden(JSON.stringify(linearGolden), 'g')).toEqual(linearGolden)
    expect(parseBaseline(JSON.stringify(linearBaseline), 'b')).toEqual({ ...linearBaseline, features: {} })
  })

  it.each([
    ['is no JSON', '{', 'g cannot be read'],
    ['has no tolerance', JSON.stringify({ ...linearGolden, tolerance: undefined }), 'tolerance'],
    ['has no scores', JSON.stringify({ ...linearGolden, scores: [] }), 'scores'],
    [
      'holds null for a value',
      JSON.stringify({ ...linearGolden, inputs: { f: [[null]] } }),
      'inputs.f[0][0]',
    ],
  ])('golden.json is refused when it %s', (_, text, place) => {
    expect(() => parseGolden(text, 'g')).toThrow(expect.objectContaining(invalid(place)))
  })

  it.each([
    ['as many counts as edges', { edges: [0, 1], counts: [1, 2] }],
    ['edges that do not ascend', { edges: [0, 0, 1], counts: [1, 2] }],
  ])('baseline.json is refused when a histogram has %s', (_, histogram) => {
    const text = JSON.stringify({ ...linearBaseline, features: { amount: histogram } })
    expect(() => parseBaseline(text, 'b')).toThrow(expect.objectContaining(invalid('features.amount')))
  })
})

function withFeature(...features: object[]): Record<string, unknown> {
  return { inputs: [{ name: 'features', type: 'float32', features }] }
}
