import { COMPATIBILITY, SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry'
import { clientArguments } from './registry.ts'
import type { RegistryOptions } from './registry.ts'

/**
 * Registers an Avro schema under a subject (a new one gets compatibility BACKWARD) and returns its id. For the local
 * stack and for tests only: the running service never registers anything, because a schema is the team's decision and
 * not a side effect of a deployment.
 */
export async function registerSchema(
  options: RegistryOptions,
  subject: string,
  schema: object,
): Promise<number> {
  const client = new SchemaRegistry(clientArguments(options).args)
  const { id } = await client.register(
    { type: SchemaType.AVRO, schema: JSON.stringify(schema) },
    { subject, compatibility: COMPATIBILITY.BACKWARD },
  )
  return id
}
