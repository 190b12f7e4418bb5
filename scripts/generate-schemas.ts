/** Writes what is made from the options of the stages: schemas/topology.schema.json and the tables of docs/topology.md. */
import { readFileSync, writeFileSync } from 'node:fs'
import { topologyJsonSchema } from '../src/topology/json-schema.ts'
import { withReference } from './topology-reference.ts'

/** Path from the repository's root → content. */
export function generated(root: URL): ReadonlyMap<string, string> {
  const schema = topologyJsonSchema()
  const document = readFileSync(new URL('docs/topology.md', root), 'utf8')
  return new Map([
    ['schemas/topology.schema.json', `${JSON.stringify(schema, null, 2)}\n`],
    ['docs/topology.md', withReference(document, schema)],
  ])
}

if (import.meta.main) {
  const root = new URL('../', import.meta.url)
  for (const [path, content] of generated(root)) writeFileSync(new URL(path, root), content)
}
