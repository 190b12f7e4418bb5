import { z } from 'zod'
import { topologyOptions } from './options.ts'

/** What editors check topology files against (schemas/topology.schema.json). */
export function topologyJsonSchema(): Readonly<Record<string, unknown>> {
  const { $schema, ...schema } = z.toJSONSchema(topologyOptions, { io: 'input' })
  return {
    $schema,
    $id: 'urn:millrace:topology',
    title: 'Millrace topology',
    description: 'What flows where: sources, features, model, decisions and sinks of one pipeline.',
    ...schema,
  }
}
