import { inject } from 'vitest'

export { uniqueName } from './unique-name.ts'

/*
 * One Kafka, one Redis and, once somebody asks, one schema registry serve all integration tests of a run; see
 * servers-setup.ts. Tests keep apart by names of their own: uniqueName() for topics, groups, transactional ids
 * and Redis namespaces. No test may flush Redis or list everything.
 */
declare module 'vitest' {
  interface ProvidedContext {
    servers: {
      readonly brokers: string
      readonly redisUrl: string
      readonly controlUrl: string
      /** Shortest session timeout that the broker allows, as a topology writes it. */
      readonly sessionTimeoutMin: string
    }
  }
}

/** Broker addresses, ready for kafkajs. */
export function brokers(): string[] {
  return inject('servers').brokers.split(',')
}

/** redis://host:port */
export function redisUrl(): string {
  return inject('servers').redisUrl
}

/** Base address of the registry's Confluent API; the first call of the run starts it (about 3 s). */
export async function registryUrl(): Promise<string> {
  const response = await fetch(`${inject('servers').controlUrl}/registry`)
  const answer = await response.text()
  if (!response.ok) throw new Error(answer)
  return answer
}
