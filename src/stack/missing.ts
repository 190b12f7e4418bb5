import { MillraceError } from '../errors.ts'
import { isCached } from './cache.ts'
import { findJava, mavenMissing } from './java.ts'
import { kafkaVersion } from './kafka-server.ts'
import { redisOnPath, redisVersion } from './redis-server.ts'

/** The servers a stack has to start; the others are given by the environment. */
export interface WantedServers {
  readonly kafka: boolean
  readonly redis: boolean
}

/** What keeps these servers from running as plain processes, as text for people; null when nothing does. */
export async function missingForProcesses(wanted: WantedServers): Promise<string | null> {
  if (wanted.kafka) {
    const problem =
      (await javaMissing()) ?? (await notCached(`kafka-${kafkaVersion}`, `Kafka ${kafkaVersion}`))
    if (problem !== null) return problem
  }
  if (wanted.redis && (await redisOnPath()) === null)
    return notCached(`redis-${redisVersion}`, `Redis ${redisVersion}`)
  return null
}

async function javaMissing(): Promise<string | null> {
  try {
    await findJava()
    return null
  } catch (error) {
    if (error instanceof MillraceError) return error.message
    throw error
  }
}

async function notCached(name: string, what: string): Promise<string | null> {
  return isCached(name) ? null : mavenMissing(what)
}
