/**
 * Writes what is made from the options of the stages: schemas/topology.schema.json, the tables of docs/topology.md, and the
 * aggregates of docs/features.md.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { topologyJsonSchema } from '../src/topology/json-schema.ts'
import { withAggregates } from './aggregates-doc.ts'
import { withReference } from './topology-reference.ts'

/** Path from the repository's root → content. */
export function generated(root: URL): ReadonlyMap<string, string> {
  const schema = topologyJsonSchema()
  const document = (path: string): string => readFileSync(new URL(path, root), 'utf8')
  return new Map([
    ['schemas/topology.schema.json', `${JSON.stringify(schema, null, 2)}\n`],
    ['docs/topology.md', withReference(document('docs/topology.md'), schema)],
    ['docs/features.md', withAggregates(document('docs/features.md'))],
  ])
}

if (import.meta.main) {
  const root = new URL('../', import.meta.url)
  for (const [path, content] of generated(root)) writeFileSync(new URL(path, root), content)
}
