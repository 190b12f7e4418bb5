/** Hashes of definitions, and the one that the stored state depends on (what models are trained with: vector-hash.ts). */
import { createHash } from 'node:crypto'
import type { CompiledFeatures } from '../features/compiled.ts'
import type { FeaturesSpec } from '../features/spec.ts'
import { partFormatVersion } from '../features/part-codec.ts'
import type { SourcePlan } from '../decode/plan.ts'

/**
 * Version of the code that turns events into state (late verdicts, trimming, caps, entity keys). Raise it with every
 * change after which the same log gives other state: all state is then rebuilt.
 */
export const stateVersion = 2

/** sha256 of the canonical JSON (keys sorted, no spaces), first 16 hex characters: 64 bits tell definitions apart. */
export function hashOf(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex').slice(0, 16)
}

export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`).join(',')}}`
  }
  if (typeof value === 'bigint') return String(value)
  return JSON.stringify(value) ?? 'null'
}

/** Everything stored state depends on; rules, names of features and what is computed when reading are not part of it. */
export function stateHashOf(
  sources: readonly SourcePlan[],
  spec: FeaturesSpec,
  compiled: CompiledFeatures,
): string {
  const keys = new Map(spec.entities.map((entity) => [entity.name, entity.keys]))
  return hashOf({
    stateVersion,
    partFormatVersion,
    layouts: compiled.layouts.map(({ entity, source, merge, horizonMs, columns }) => ({
      entity,
      keys: keys.get(entity),
      source,
      merge,
      horizonMs,
      columns,
    })),
    horizonMs: compiled.horizonMs,
    eventsPerEntityMax: spec.eventsPerEntityMax,
    sources: sources
      .map((source) => ({
        name: source.name,
        role: source.role,
        codec: codecIdentity(source),
        fields: [source.idField, source.keyField, source.timeField, source.timeFormat],
        late: [source.outOfOrderMs, source.allowedLatenessMs, source.late],
        limits: source.limits,
      }))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1)),
  })
}

/** The schema decides which records are events, so it is part; where its file lies and what it says to people is not. */
function codecIdentity({ codec }: SourcePlan): unknown {
  if (codec.kind === 'json') {
    const { exactSchema, schema, framed } = codec
    return {
      kind: 'json',
      schema: withoutRemarks(exactSchema ?? schema),
      giveUpIds: framed?.giveUpIds.toSorted((a, b) => a - b),
    }
  }
  const { reader, giveUpIds } = codec
  return { kind: 'avro', reader: withoutRemarks(reader), giveUpIds: giveUpIds.toSorted((a, b) => a - b) }
}

const remarks = new Set(['title', 'description', '$comment', 'doc'])
// What stands below these is data, in which a title is no remark.
const data = new Set(['const', 'enum', 'default', 'examples'])

/** A remark is text; a property called title has a schema. */
function withoutRemarks(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutRemarks)
  if (typeof schema !== 'object' || schema === null) return schema
  const kept = Object.entries(schema).filter(
    ([key, value]) => !(remarks.has(key) && typeof value === 'string'),
  )
  return Object.fromEntries(kept.map(([key, value]) => [key, data.has(key) ? value : withoutRemarks(value)]))
}
